"""Convolutions and pools."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.coverage.case import Case, case, floats

_LINE, _IMAGE, _VOLUME = floats(1, 4, 9), floats(2, 4, 9, 8), floats(1, 4, 5, 6, 6)


def _layer(name: str, layer: nn.Module, x: Any) -> Case:
    generator = torch.Generator().manual_seed(0)
    for each in layer.parameters():
        nn.init.normal_(each, std=0.3, generator=generator)
    return case(name, layer.eval(), x)


def _unpool(x: torch.Tensor) -> torch.Tensor:
    pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
    return functional.max_unpool2d(pooled * 2, indices, 2)


CASES = (
    _layer("conv1d", nn.Conv1d(4, 6, 3, padding=1), _LINE),
    _layer("conv2d", nn.Conv2d(4, 6, 3, stride=2), _IMAGE),
    _layer("conv2d_dw", nn.Conv2d(4, 8, 3, groups=4), _IMAGE),
    _layer("conv2d_same", nn.Conv2d(4, 6, (3, 5), padding="same"), _IMAGE),
    _layer("conv2d_dil", nn.Conv2d(4, 6, 3, dilation=2), _IMAGE),
    _layer("conv2d_reflect", nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), _IMAGE),
    _layer("conv2d_unbatched", nn.Conv2d(4, 6, 3), _IMAGE[0]),
    _layer("conv3d", nn.Conv3d(4, 3, 3), _VOLUME),
    case(
        "conv_dyn_weight",
        lambda x, w: functional.conv2d(x, w, padding=1),
        _IMAGE,
        floats(6, 4, 3, 3),
    ),
    _layer("convT1d", nn.ConvTranspose1d(4, 3, 3, stride=2), _LINE),
    _layer("convT2d", nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1), _IMAGE),
    _layer("convT2d_groups", nn.ConvTranspose2d(4, 8, 3, groups=2), _IMAGE),
    _layer("convT2d_dil", nn.ConvTranspose2d(4, 3, 3, dilation=2), _IMAGE),
    _layer("convT3d", nn.ConvTranspose3d(4, 3, 2, stride=2), _VOLUME),
    case("maxpool1d", lambda x: functional.max_pool1d(x, 3, 2, 1), _LINE),
    case("maxpool2d", lambda x: functional.max_pool2d(x, 2), _IMAGE),
    case("maxpool2d_ceil", lambda x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True), _IMAGE),
    case("maxpool2d_dil", lambda x: functional.max_pool2d(x, 3, 2, 1, dilation=2), _IMAGE),
    case("maxpool2d_idx", lambda x: functional.max_pool2d(x, 2, return_indices=True), _IMAGE),
    case("maxpool3d", lambda x: functional.max_pool3d(x, 2), _VOLUME),
    case("maxunpool", _unpool, _IMAGE[:, :, :8].contiguous()),
    case("avgpool1d", lambda x: functional.avg_pool1d(x, 3, 2, 1), _LINE),
    case("avgpool2d", lambda x: functional.avg_pool2d(x, 2), _IMAGE),
    case("avgpool2d_ceil", lambda x: functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True), _IMAGE),
    case(
        "avgpool2d_noinc",
        lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        _IMAGE,
    ),
    case(
        "avgpool2d_divisor", lambda x: functional.avg_pool2d(x, 3, 2, 1, divisor_override=5), _IMAGE
    ),
    case("avgpool3d", lambda x: functional.avg_pool3d(x, 2), _VOLUME),
    case("adaptive_avg1", lambda x: functional.adaptive_avg_pool2d(x, 1), _IMAGE),
    case("adaptive_avg_even", lambda x: functional.adaptive_avg_pool2d(x, 4), floats(1, 3, 8, 8)),
    case("adaptive_avg_odd", lambda x: functional.adaptive_avg_pool2d(x, (4, 3)), _IMAGE),
    case("adaptive_avg1d", lambda x: functional.adaptive_avg_pool1d(x, 3), _LINE),
    case("adaptive_avg3d", lambda x: functional.adaptive_avg_pool3d(x, 2), _VOLUME),
    case("adaptive_max", lambda x: functional.adaptive_max_pool2d(x, (4, 3)), _IMAGE),
    case("lppool", lambda x: functional.lp_pool2d(x, 2, 2), _IMAGE),
    case("unfold", lambda x: functional.unfold(x, 3, padding=1), _IMAGE),
    case("fold", lambda x: functional.fold(x, (4, 5), 2), floats(1, 12, 12)),
)
