"""Resizing of images whose size varies: gathered rows and columns, weighted.

Where a pixel comes from is computed in integers: in fp16, fractions of a large size would be off by
whole pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import (
    as_fraction,
    decomposes,
    is_static,
    size_bounds,
)
from etcoreml.compiler.names import argument, op_name

_WHY = "coremltools 9.0 and ExecuTorch 1.5 take fractions of the sizes for constants"
_CUBIC = -0.75
"""The coefficient of PyTorch's cubic convolution (Keys, 1981)."""

_LARGEST = 1 << 14
"""Where a size has no bound, scale factors have to give the right sizes up to this."""


@dataclass(frozen=True)
class _Line:
    """What is asked for along an axis: the size, and the step from pixel to pixel, if given."""

    size: Any
    step: Fraction | None


def _scale_factors(node: Node) -> Sequence[float] | None:
    if op_name(node).endswith(".vec"):
        factors: Sequence[float] | None = argument(node, "scale_factors")
        return factors
    return None


def _can_be_computed(node: Node) -> bool:
    """Whether integers give the sizes that PyTorch rounds a scale factor's products to."""
    if is_static(node):
        return False
    x = node.all_input_nodes[0].meta["val"]
    factors = _scale_factors(node)
    if factors is None:
        return all(isinstance(each, (int, Node)) for each in argument(node, "output_size"))
    return all(_rounds_alike(x, axis, factor) for axis, factor in zip((2, 3), factors, strict=True))


def _rounds_alike(x: Tensor, axis: int, factor: float) -> bool:
    low, high = size_bounds(x, axis)
    ratio = as_fraction(factor)
    sizes = range(low, min(high or _LARGEST, _LARGEST) + 1)
    return ratio > 0 and all(
        size * ratio.numerator // ratio.denominator == math.floor(size * factor) for size in sizes
    )


def _lines(x: Tensor, size: Sequence[Any] | None, factors: Sequence[float] | None) -> list[_Line]:
    if size is not None:
        return [_Line(each, None) for each in size]
    lines = []
    for axis, factor in zip((2, 3), factors or (), strict=True):
        ratio = as_fraction(factor)
        made = x.shape[axis] * ratio.numerator // ratio.denominator
        lines.append(_Line(made, 1 / ratio))
    return lines


def _sources(size: Any, line: _Line, align_corners: bool) -> tuple[Tensor, Any]:
    """Return where each pixel comes from, as numerators, and their denominator."""
    made = torch.arange(line.size)
    if align_corners:
        last = torch.sym_max(line.size - 1, 1)
        return made * (size - 1), last
    up, down = (size, line.size) if line.step is None else line.step.as_integer_ratio()
    return (2 * made + 1) * up - down, 2 * down


def _taken(x: Tensor, axis: int, line: _Line, align_corners: bool, cubic: bool) -> Tensor:
    """Resize along an axis."""
    size = x.shape[axis]
    places, whole = _sources(size, line, align_corners)
    if not cubic:
        places = torch.clamp(places, min=0)
    first = torch.div(places, whole, rounding_mode="floor")
    # The remainder is divided as a number, whose size is that of the fraction.
    part = (places - first * whole).to(x.dtype) / whole
    weights = _cubic(part) if cubic else (1 - part, part)
    start = -1 if cubic else 0
    shape = (-1, 1) if axis == 2 else (-1,)
    total = None
    for offset, weight in enumerate(weights, start):
        at = torch.clamp(first + offset, min=0)
        at = torch.minimum(at, torch.arange(size).amax())
        taken = torch.index_select(x, axis, at) * weight.reshape(shape)
        total = taken if total is None else total + taken
    assert total is not None
    return total


def _cubic(t: Tensor) -> tuple[Tensor, ...]:
    """Return the weights of the four pixels around each place."""

    def near(d: Tensor) -> Tensor:
        return ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _has_a_size(node: Node) -> bool:
    """Whether a size is given: coremltools converts scale factors itself."""
    return _scale_factors(node) is None and _can_be_computed(node)


def _resizing(cubic: bool) -> Callable[..., Tensor]:
    """Return how to weigh four rows, then four columns, or two."""

    def resized(
        input: Tensor,
        output_size: Sequence[Any] | None,
        align_corners: bool,
        scale_factors: Sequence[float] | None,
    ) -> Tensor:
        x = input
        for axis, line in zip((2, 3), _lines(x, output_size, scale_factors), strict=True):
            x = _taken(x, axis, line, align_corners, cubic)
        return x

    return resized


decomposes("aten.upsample_bicubic2d.vec", why=_WHY, applies=_can_be_computed)(_resizing(True))
decomposes("aten.upsample_bilinear2d.vec", why=_WHY, applies=_has_a_size)(_resizing(False))
