"""Normalisations and resampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.coverage.case import Case, case, floats

_LINE, _IMAGE, _VOLUME = floats(2, 6, 7), floats(2, 6, 5, 7), floats(2, 6, 3, 4, 5)


def _layer(name: str, layer: Any, *inputs: Tensor) -> Case:
    generator = torch.Generator().manual_seed(0)
    for key, value in layer.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        del key
    return case(name, layer.eval(), *inputs)


def _resize(name: str, x: Tensor, **options: Any) -> Case:
    return case(name, lambda each: functional.interpolate(each, **options), x)


def _affine(theta: Tensor) -> Tensor:
    return functional.affine_grid(theta, [2, 3, 4, 5], align_corners=False)


_GRID = floats(2, 3, 4, 2, seed=1).tanh() * 1.2

CASES = (
    _layer("bn1d", nn.BatchNorm1d(6), _LINE),
    _layer("bn2d", nn.BatchNorm2d(6), _IMAGE),
    _layer("bn2d_noaffine", nn.BatchNorm2d(6, affine=False), _IMAGE),
    _layer("bn3d", nn.BatchNorm3d(6), _VOLUME),
    _layer("bn_notrack", nn.BatchNorm2d(6, track_running_stats=False), _IMAGE),
    _layer("layernorm", nn.LayerNorm(7), _LINE),
    _layer("layernorm2", nn.LayerNorm((5, 7)), _IMAGE),
    _layer("layernorm_noaff", nn.LayerNorm(7, elementwise_affine=False), _LINE),
    _layer("groupnorm", nn.GroupNorm(3, 6), _IMAGE),
    _layer("groupnorm_3d", nn.GroupNorm(2, 6), _LINE),
    _layer("instancenorm1d", nn.InstanceNorm1d(6, affine=True), _LINE),
    _layer("instancenorm2d", nn.InstanceNorm2d(6), _IMAGE),
    _layer("rmsnorm", nn.RMSNorm(7), torch.cat((_LINE, _LINE * 1e-3, _LINE * 0))),
    _layer("lrn", nn.LocalResponseNorm(3), _IMAGE),
    _resize("up_nearest", _IMAGE, scale_factor=2),
    _resize("up_nearest_size", _IMAGE, size=(8, 9)),
    _resize("up_nearest1d", _LINE, scale_factor=2),
    _resize("up_nearest3d", _VOLUME, scale_factor=2),
    _resize("up_bilinear", _IMAGE, scale_factor=2, mode="bilinear"),
    _resize("up_bilinear_ac", _IMAGE, size=(9, 11), mode="bilinear", align_corners=True),
    _resize("up_bicubic", _IMAGE, scale_factor=2, mode="bicubic"),
    _resize("up_linear1d", _LINE, scale_factor=2, mode="linear"),
    _resize("up_trilinear", _VOLUME, scale_factor=2, mode="trilinear"),
    _resize("up_area", _IMAGE, size=(3, 4), mode="area"),
    _resize("up_antialias", _IMAGE, size=(3, 4), mode="bilinear", antialias=True),
    case(
        "grid_sample", lambda x, g: functional.grid_sample(x, g, align_corners=False), _IMAGE, _GRID
    ),
    case(
        "grid_sample_border_ac",
        lambda x, g: functional.grid_sample(x, g, padding_mode="border", align_corners=True),
        _IMAGE,
        _GRID,
    ),
    case("affine_grid", _affine, floats(2, 2, 3)),
)
