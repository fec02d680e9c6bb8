"""Arithmetic with scale factors, selections and products in terms of plain ops."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.narrow import (
    NARROW,
    brought_into,
    reads_narrow,
    widened,
    wrapped,
)
from etcoreml.compiler.decompositions.registry import Applies, decomposes, tensors
from etcoreml.compiler.names import argument

_ALPHA = (
    "coremltools 9.0 ignores or refuses alpha: https://github.com/apple/coremltools/issues/2573"
)
_MISSING = "coremltools 9.0 has no converter for it"


def _scaled(*names: str) -> Applies:
    """Apply where one of the factors is not 1, unless integers would have to wrap (``narrow``)."""

    def applies(node: Node) -> bool:
        scaled = any(argument(node, name) != 1 for name in names)
        return scaled and not reads_narrow(node)

    return applies


@decomposes("aten.add.Tensor", "aten.add.Scalar", why=_ALPHA, applies=_scaled("alpha"))
def add(self: Tensor, other: Tensor | float, alpha: float = 1) -> Tensor:
    """Scale, then add."""
    return self + other * alpha


@decomposes("aten.sub.Tensor", "aten.sub.Scalar", why=_ALPHA, applies=_scaled("alpha"))
def sub(self: Tensor, other: Tensor | float, alpha: float = 1) -> Tensor:
    """Scale, then subtract."""
    return self - other * alpha


@decomposes("aten.rsub.Tensor", "aten.rsub.Scalar", why=_ALPHA, applies=_scaled("alpha"))
def rsub(self: Tensor, other: Tensor | float, alpha: float = 1) -> Tensor:
    """Scale, then subtract from the other."""
    return other - self * alpha


@decomposes(
    "aten.addmm.default",
    "aten.baddbmm.default",
    why="coremltools 9.0 refuses alpha and beta",
    applies=_scaled("alpha", "beta"),
)
def addmm(self: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """Multiply, scale and add."""
    product = torch.matmul(mat1, mat2) * alpha
    return product if beta == 0 else product + self * beta


@decomposes("aten.lerp.Scalar", "aten.lerp.Tensor", why="coremltools 9.0 does not promote weights")
def lerp(self: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """Interpolate."""
    return self + (end - self) * weight


def _has_vector(node: Node) -> bool:
    return any(each.dim() == 1 for each in tensors(node))


@decomposes(
    "aten.mv.default",
    "aten.matmul.default",
    why="coremltools 9.0 does not multiply with vectors",
    applies=_has_vector,
)
def matmul(self: Tensor, other: Tensor) -> Tensor:
    """Multiply with vectors as matrices of one row or column."""
    left = self.unsqueeze(0) if self.dim() == 1 else self
    right = other.unsqueeze(1) if other.dim() == 1 else other
    product = torch.matmul(left, right)
    if other.dim() == 1:
        product = product.squeeze(-1)
    return product.squeeze(-1 if other.dim() == 1 else -2) if self.dim() == 1 else product


@decomposes("aten._trilinear.default", why=_MISSING)
def trilinear(
    i1: Tensor,
    i2: Tensor,
    i3: Tensor,
    expand1: list[int],
    expand2: list[int],
    expand3: list[int],
    sumdim: list[int],
    unroll_dim: int = 1,
) -> Tensor:
    """Multiply three tensors and sum."""
    for axis in expand1:
        i1 = i1.unsqueeze(axis)
    for axis in expand2:
        i2 = i2.unsqueeze(axis)
    for axis in expand3:
        i3 = i3.unsqueeze(axis)
    return (i1 * i2 * i3).sum(sumdim)


@decomposes(
    "aten._cdist_forward.default",
    why=_MISSING,
    applies=lambda node: argument(node, "p") in (1.0, 2.0, float("inf")),
)
def cdist(x1: Tensor, x2: Tensor, p: float, compute_mode: int | None = None) -> Tensor:
    """Compute the distances between all rows."""
    gaps = (x1.unsqueeze(-2) - x2.unsqueeze(-3)).abs()
    if p == 1:
        return gaps.sum(-1)
    return torch.sqrt((gaps * gaps).sum(-1)) if p == 2 else gaps.amax(-1)


@decomposes(
    "aten.where.ScalarSelf",
    "aten.where.ScalarOther",
    "aten.where.Scalar",
    why="coremltools 9.0 does not bring the scalar to the tensor's dtype",
)
def where(condition: Tensor, self: Tensor | float, other: Tensor | float) -> Tensor:
    """Select from tensors of one dtype."""
    dtype = torch.result_type(self, other)
    left, right = (
        each.to(dtype) if isinstance(each, Tensor) else torch.full((), each, dtype=dtype)
        for each in (self, other)
    )
    return torch.where(condition, left, right)


def _has_no_dimensions(node: Node) -> bool:
    return all(each.dim() == 0 for each in tensors(node))


@decomposes(
    "aten.where.self",
    why="coremltools 9.0 does not select between tensors without dimensions",
    applies=_has_no_dimensions,
)
def where_scalars(condition: Tensor, self: Tensor, other: Tensor) -> Tensor:
    """Select between tensors of one element."""
    chosen = torch.where(condition.unsqueeze(0), self.unsqueeze(0), other.unsqueeze(0))
    return chosen.squeeze(0)


def _has_wider_mask(node: Node) -> bool:
    """Whether sizes vary, and the condition has more elements than what is chosen from."""
    result = node.meta["val"].shape
    if all(isinstance(size, int) for size in result):
        return False
    chosen = (each.meta["val"].shape for each in node.args[1:] if isinstance(each, Node))
    return tuple(torch.broadcast_shapes(*chosen)) != tuple(result)


@decomposes(
    "aten.where.self",
    why="coremltools 9.0 leaves the condition out of the shape where sizes vary",
    applies=_has_wider_mask,
)
def where_wider_mask(condition: Tensor, self: Tensor, other: Tensor) -> Tensor:
    """Repeat what is chosen from first."""
    shape = torch.broadcast_shapes(condition.shape, self.shape, other.shape)
    return torch.where(condition, self.expand(shape), other)


def _divides_floats(node: Node) -> bool:
    return all(each.dtype.is_floating_point for each in tensors(node))


def _floors_floats(node: Node) -> bool:
    return _divides_floats(node) and argument(node, "rounding_mode") == "floor"


_INFINITE = "coremltools 9.0 gives other numbers where the divisor is infinite"


def _is_infinite(x: Tensor) -> Tensor:
    return x.abs() == math.inf


@decomposes("aten.remainder.Tensor", why=_INFINITE, applies=_divides_floats)
def remainder(self: Tensor, other: Tensor) -> Tensor:
    """Compute the remainder that has the sign of the divisor."""
    rest = torch.ops.aten.remainder.Tensor(self, other)
    other_sign = (self != 0) & ((self < 0) != (other < 0))
    far = torch.where(other_sign, other, self)
    return torch.where(_is_infinite(other) & ~_is_infinite(self), far, rest)


@decomposes("aten.remainder.Scalar_Tensor", why="coremltools 9.0 has no converter for it")
def remainder_of_number(self: float, other: Tensor) -> Tensor:
    """Divide a number, which is a tensor then."""
    dtype = torch.result_type(self, other)
    if dtype in NARROW:
        number = torch.full((), brought_into(self, dtype), dtype=torch.int32)
        return wrapped(torch.remainder(number, widened(other)), dtype)
    return torch.remainder(torch.full((), self, dtype=dtype), other)


@decomposes("aten.floor_divide.default", why=_INFINITE, applies=_divides_floats)
@decomposes("aten.div.Tensor_mode", why=_INFINITE, applies=_floors_floats)
def floor_divide(self: Tensor, other: Tensor | float, rounding_mode: str = "floor") -> Tensor:
    """Divide and round down; where the quotient is next to an integer, the remainder decides."""
    if not isinstance(other, Tensor):  # torch.export gives a number as it stands
        other = torch.full((1,) * self.dim(), other, dtype=self.dtype)
    quotient = self / other
    rest = torch.ops.aten.remainder.Tensor(self, other)
    down = torch.round((self - rest) / other)
    sign = torch.where((self != 0) & ((self < 0) != (other < 0)), -1.0, 0.0).to(self.dtype)
    down = torch.where(_is_infinite(other) & ~_is_infinite(self), sign, down)
    return torch.where(other == 0, quotient, down)


def _joins_dtypes(node: Node) -> bool:
    return any(each.dtype != node.meta["val"].dtype for each in tensors(node))


@decomposes(
    "aten.cat.default",
    why="ExecuTorch 1.5 refuses operands of several dtypes",
    applies=_joins_dtypes,
)
def cat(tensors: list[Tensor], dim: int = 0) -> Tensor:
    """Bring what is joined to one dtype."""
    dtype = functools.reduce(torch.promote_types, (each.dtype for each in tensors))
    return torch.cat([each.to(dtype) for each in tensors], dim)


@decomposes(
    "aten.stack.default",
    why="ExecuTorch 1.5 joins it without a common dtype, and refuses that",
    applies=_joins_dtypes,
)
def stack(tensors: list[Tensor], dim: int = 0) -> Tensor:
    """Bring what is stacked to one dtype."""
    return cat([each.unsqueeze(dim) for each in tensors], dim)
