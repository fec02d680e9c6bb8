"""What is quantised, as data: ATen ops of exported modules and their part in a pattern.

Core ML runs a weighted op, its batch norm and its activation as one, so nothing is quantised in
between. Ops that only move values keep the scale of their input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch

_aten: Any = torch.ops.aten


def _overloads(*names: str) -> frozenset[Any]:
    """Return ops by name, each ``name.overload``, in place, too, where that exists."""
    return frozenset(_each(names))


def _each(names: Iterable[str]) -> Iterable[Any]:
    for full in names:
        name, overload = full.split(".")
        yield getattr(getattr(_aten, name), overload)
        in_place = getattr(_aten, f"{name}_", None)
        if in_place is not None and overload in in_place.overloads():
            yield getattr(in_place, overload)


WEIGHT_AXES: Mapping[Any, int] = MappingProxyType(
    {
        **dict.fromkeys(
            _overloads(
                *("conv1d.default", "conv2d.default", "conv3d.default"),
                *("conv1d.padding", "conv2d.padding", "conv3d.padding"),
                "linear.default",
            ),
            0,
        ),
        **dict.fromkeys(
            _overloads("conv_transpose1d.default", "conv_transpose2d.input"),
            1,
        ),
        _aten.conv_transpose3d.input: 1,
    }
)
"""Ops of an input and a weight, to the axis of the weight's output channels."""

BATCH_NORMS = _overloads("batch_norm.default")

ACTIVATIONS = _overloads(
    *("relu.default", "relu6.default", "hardtanh.default", "leaky_relu.default", "elu.default"),
    *("selu.default", "celu.default", "prelu.default", "rrelu.default", "clamp.default"),
    *("silu.default", "mish.default", "hardswish.default", "hardsigmoid.default", "gelu.default"),
    *("sigmoid.default", "log_sigmoid.default", "tanh.default", "softplus.default"),
)

BINARY = _overloads("add.Tensor", "sub.Tensor", "mul.Tensor", "matmul.default", "bmm.default")
"""Ops of two activations."""

POOLS = _overloads(
    *(f"max_pool{n}d.default" for n in (1, 2, 3)),
    *(f"avg_pool{n}d.default" for n in (1, 2, 3)),
    *(f"adaptive_avg_pool{n}d.default" for n in (1, 2, 3)),
    *("mean.dim", "flatten.using_ints"),
)
"""Ops whose output has the scale of their input."""

MOVES = _overloads(
    *("view.default", "reshape.default", "permute.default", "transpose.int", "unflatten.int"),
    *("squeeze.dim", "squeeze.dims", "squeeze.default", "unsqueeze.default", "contiguous.default"),
    *("dropout.default", "clone.default", "slice.Tensor", "pixel_shuffle.default"),
)
"""As pools, and quantised only where their input is: they do not compute."""

EMBEDDINGS = _overloads("embedding.default")
"""Ops that look rows of a weight up."""
