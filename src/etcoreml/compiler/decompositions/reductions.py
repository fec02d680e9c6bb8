"""Reductions, norms, scans and order statistics in terms of others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import decomposes, is_static
from etcoreml.compiler.names import argument

_MISSING = "coremltools 9.0 has no converter for it"
_LONGEST = 512
"""Scans that compare each element with each are rewritten up to this length."""


def _is_short(node: Node) -> bool:
    x = node.all_input_nodes[0].meta["val"]
    size = x.shape[argument(node, "dim")] if x.dim() else 1
    return isinstance(size, int) and 0 < size <= _LONGEST and x.dim() < 5


@decomposes("aten.var_mean.correction", why=_MISSING)
def var_mean(
    self: Tensor,
    dim: list[int] | None = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute the variance and the mean."""
    axes = dim or list(range(self.dim()))
    variance = torch.ops.aten.var.correction(self, axes, correction=correction, keepdim=keepdim)
    return variance, self.mean(axes, keepdim=keepdim)


@decomposes(
    "aten.group_norm.default",
    why="coremltools 9.0 takes the sizes for constants, and fails where the batch varies",
    applies=lambda node: not is_static(node),
)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalise groups of channels, a row of numbers each."""
    rows = input.reshape(input.shape[0], num_groups, -1)
    centred = rows - rows.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    normal = (centred / torch.sqrt(variance + eps)).reshape(input.shape)
    shape = (-1, *[1] * (input.dim() - 2))
    if weight is not None:
        normal = normal * weight.reshape(shape)
    return normal if bias is None else normal + bias.reshape(shape)


def _wide(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return x as (..., 1, n) with ``dim`` last, and which element precedes which, (n, n)."""
    moved = x.movedim(dim, -1).unsqueeze(-2)
    steps = torch.arange(x.shape[dim])
    return moved, steps.unsqueeze(0) <= steps.unsqueeze(1)


@decomposes("aten.cumprod.default", why=_MISSING, applies=_is_short)
def cumprod(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Multiply what precedes each element."""
    x = self if dtype is None else self.to(dtype)
    if x.dtype in (torch.bool, torch.int32):
        x = x.to(torch.int64)
    wide, precedes = _wide(x, dim)
    return torch.where(precedes, wide, torch.ones_like(wide)).prod(-1).movedim(-1, dim)


def _extreme(x: Tensor, dim: int, sign: int) -> tuple[Tensor, Tensor]:
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    wide, precedes = _wide(x, dim)
    if x.is_floating_point():
        least: float = -sign * float("inf")
    else:
        least = -sign * (2**31 - 1)
    held = torch.where(precedes, wide, torch.full_like(wide, least))
    values = held.amax(-1) if sign > 0 else held.amin(-1)
    steps = torch.arange(x.shape[dim])
    found = precedes & (wide == values.unsqueeze(-1))
    indices = torch.where(found, steps, torch.full_like(steps, -1)).amax(-1)
    return values.movedim(-1, dim), indices.movedim(-1, dim)


@decomposes("aten.cummax.default", why=_MISSING, applies=_is_short)
def cummax(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the largest so far, and where it was last."""
    return _extreme(self, dim, 1)


@decomposes("aten.cummin.default", why=_MISSING, applies=_is_short)
def cummin(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the smallest so far, and where it was last."""
    return _extreme(self, dim, -1)


@decomposes("aten.kthvalue.default", why=_MISSING)
def kthvalue(self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Find the k-th smallest, and where it is."""
    values, indices = torch.sort(self, dim=dim)
    index = k - 1
    if keepdim:
        return values.narrow(dim, index, 1), indices.narrow(dim, index, 1)
    return values.select(dim, index), indices.select(dim, index)


def _is_static(node: Node) -> bool:
    """Whether the size of the dimension is known."""
    return isinstance(node.all_input_nodes[0].meta["val"].shape[argument(node, "dim")], int)


@decomposes("aten.median.dim", why=_MISSING, applies=_is_static)
def median(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Find the lower median, and where it is."""
    result: tuple[Tensor, Tensor] = kthvalue(self, (self.shape[dim] + 1) // 2, dim, keepdim)
    return result


@decomposes("aten.mode.default", why=_MISSING, applies=_is_short)
def mode(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Find the smallest of the most frequent values, and where it is last."""
    moved = self.movedim(dim, -1)
    same = moved.unsqueeze(-1) == moved.unsqueeze(-2)
    counts = same.to(torch.int32).sum(-1)
    most = counts == counts.amax(-1, keepdim=True)
    bound = float("inf") if self.is_floating_point() else 2**31 - 1
    values = torch.where(most, moved, torch.full_like(moved, bound)).amin(-1, keepdim=True)
    steps = torch.arange(self.shape[dim])
    indices = torch.where(moved == values, steps, torch.full_like(steps, -1))
    indices = indices.amax(-1, keepdim=True)
    if keepdim:
        return values.movedim(-1, dim), indices.movedim(-1, dim)
    return values.squeeze(-1), indices.squeeze(-1)


def _has_bounds(node: Node) -> bool:
    return bool(argument(node, "min") < argument(node, "max"))


@decomposes("aten.histc.default", why=_MISSING, applies=_has_bounds)
def histc(self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Count the elements in each of some equal parts of a range."""
    x = self.reshape(-1)
    place = torch.floor((x - min) * (bins / (max - min))).clamp(0, bins - 1)
    inside = (x >= min) & (x <= max)
    steps = torch.arange(bins).to(x.dtype).unsqueeze(1)
    found = (place.unsqueeze(0) == steps) & inside.unsqueeze(0)
    return found.to(x.dtype).sum(1)


@decomposes("aten.bucketize.Tensor", why=_MISSING)
def bucketize(
    self: Tensor, boundaries: Tensor, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Count the boundaries below each element."""
    x = self.unsqueeze(-1)
    below = boundaries <= x if right else boundaries < x
    return below.to(torch.int32).sum(-1).to(torch.int32 if out_int32 else torch.int64)


@decomposes(
    "aten.searchsorted.Tensor",
    why=_MISSING,
    applies=lambda node: argument(node, "sorter") is None,
)
def searchsorted(
    sorted_sequence: Tensor,
    self: Tensor,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Count the elements of a sequence that are below each value."""
    bounds = sorted_sequence if sorted_sequence.dim() == 1 else sorted_sequence.unsqueeze(-2)
    return bucketize(self, bounds, out_int32, right or side == "right")


_ONE_AXIS = "MIL reduces one dimension: https://github.com/pytorch/executorch/issues/11715"


def _reduces_all(node: Node) -> bool:
    return argument(node, "dim") is None


@decomposes("aten.argmax.default", why=_ONE_AXIS, applies=_reduces_all)
def argmax(self: Tensor, dim: None = None, keepdim: bool = False) -> Tensor:
    """Find the largest of the flattened tensor."""
    index = torch.argmax(self.reshape(1, -1), dim=1)
    return index.reshape((1,) * self.dim() if keepdim else ())


@decomposes("aten.argmin.default", why=_ONE_AXIS, applies=_reduces_all)
def argmin(self: Tensor, dim: None = None, keepdim: bool = False) -> Tensor:
    """Find the smallest of the flattened tensor."""
    index = torch.argmin(self.reshape(1, -1), dim=1)
    return index.reshape((1,) * self.dim() if keepdim else ())


@decomposes("aten.sort.stable", why="ExecuTorch has no stable sort", applies=_is_short)
def sort_stable(
    self: Tensor, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """Sort by the number of elements that come before each: no two have the same."""
    x = self.movedim(dim, -1)
    mine, others = x.unsqueeze(-1), x.unsqueeze(-2)
    steps = torch.arange(x.shape[-1])
    earlier = steps.unsqueeze(0) < steps.unsqueeze(1)
    ahead = others > mine if descending else others < mine
    rank = (ahead | ((others == mine) & earlier)).to(torch.int32).sum(-1)
    order = torch.argsort(rank, dim=-1)
    return x.gather(-1, order).movedim(-1, dim), order.movedim(-1, dim)
