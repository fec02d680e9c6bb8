"""What is quantised, as data: ATen ops of exported modules and their part in a pattern.

Core ML runs a weighted op, its batch norm and its activation as one, so nothing is quantised in
between. Ops that only move values keep the scale of their input.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.fx import Node

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


_TRANSPOSED = _overloads(
    "conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input"
)
_GROUPS = 6  # the argument of a transposed convolution

WEIGHTED = _TRANSPOSED | _overloads(
    *("conv1d.default", "conv2d.default", "conv3d.default"),
    *("conv1d.padding", "conv2d.padding", "conv3d.padding"),
    "linear.default",
)
"""Ops of an input and a weight."""


def weight_axis(node: Node) -> int | None:
    """Return the axis of a weight that counts the output channels of an op of ``WEIGHTED``.

    The weight of a transposed convolution is ``(in, out / groups, ...)``: with groups, an index
    along neither axis is one output channel, unless each group has but one. Then it is None.
    """
    if node.target not in _TRANSPOSED:
        return 0
    if len(node.args) <= _GROUPS or node.args[_GROUPS] == 1:
        return 1
    weight: Any = node.args[1]
    return 0 if weight.meta["val"].shape[1] == 1 else None


BATCH_NORMS = _overloads("batch_norm.default")

ACTIVATIONS = _overloads(
    *("relu.default", "relu6.default", "hardtanh.default", "leaky_relu.default", "elu.default"),
    *("selu.default", "celu.default", "prelu.default", "rrelu.default", "clamp.default"),
    *("silu.default", "mish.default", "hardswish.default", "hardsigmoid.default", "gelu.default"),
    *("sigmoid.default", "log_sigmoid.default", "tanh.default", "softplus.default"),
)

_NON_NEGATIVE = _overloads(
    *("relu.default", "relu6.default", "sigmoid.default", "hardsigmoid.default"),
    "softplus.default",
)
_CLAMPS = _overloads("hardtanh.default", "clamp.default")


def is_non_negative(node: Node) -> bool:
    """Whether what a node returns is never negative."""
    if node.target in _CLAMPS:
        low = node.args[1] if len(node.args) > 1 else None
        return isinstance(low, (int, float)) and low >= 0
    return node.target in _NON_NEGATIVE


BINARY = _overloads("add.Tensor", "sub.Tensor", "mul.Tensor", "matmul.default", "bmm.default")
"""Ops of two activations."""

POOLS = _overloads(
    *(f"max_pool{n}d.default" for n in (1, 2, 3)),
    *(f"avg_pool{n}d.default" for n in (1, 2, 3)),
    *(f"adaptive_avg_pool{n}d.default" for n in (1, 2, 3)),
    "flatten.using_ints",
)
"""Ops whose output has the scale of their input."""

REDUCTIONS = _overloads("mean.dim")
"""Ops of one activation whose output has less of a range than it."""

MOVES = _overloads(
    *("view.default", "reshape.default", "permute.default", "transpose.int", "unflatten.int"),
    *("squeeze.dim", "squeeze.dims", "squeeze.default", "unsqueeze.default", "contiguous.default"),
    *("dropout.default", "clone.default", "slice.Tensor", "pixel_shuffle.default"),
)
"""As pools, and quantised only where their input is: they do not compute."""

EMBEDDINGS = _overloads("embedding.default")
"""Ops that look rows of a weight up."""
