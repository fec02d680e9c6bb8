"""Reductions, norms and order statistics in terms of others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import (
    decomposes,
    has_integers,
    is_short,
    is_static,
)
from etcoreml.compiler.names import argument

_MISSING = "coremltools 9.0 has no converter for it"


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
    "aten.mean.dim",
    "aten.mean.default",
    why="coremltools 9.0 averages integers as integers",
    applies=has_integers,
)
def mean(
    self: Tensor,
    dim: list[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype,
) -> Tensor:
    """Average as numbers."""
    return torch.mean(self.to(dtype), dim, keepdim)


_UNDERFLOWS = (
    "coremltools 9.0 takes the logarithm of the softmax, which underflows: in fp16 from 17 on"
)


@decomposes("aten._log_softmax.default", why=_UNDERFLOWS)
def _log_softmax(self: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """Subtract the logarithm of the sum of exponentials."""
    below = self - self.amax(dim, keepdim=True)
    return below - below.exp().sum(dim, keepdim=True).log()


@decomposes("aten.log_softmax.int", why=_UNDERFLOWS)
def log_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Subtract the logarithm of the sum of exponentials."""
    return _log_softmax(self if dtype is None else self.to(dtype), dim, False)


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


@decomposes("aten.kthvalue.default", why=_MISSING)
def kthvalue(self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Find the k-th smallest, and where it is."""
    values, indices = torch.sort(self, dim=dim)
    index = k - 1
    if keepdim:
        return values.narrow(dim, index, 1), indices.narrow(dim, index, 1)
    return values.select(dim, index), indices.select(dim, index)


@decomposes("aten.median.dim", why=_MISSING)
def median(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Find the lower median, and where it is."""
    result: tuple[Tensor, Tensor] = kthvalue(self, (self.shape[dim] + 1) // 2, dim, keepdim)
    return result


@decomposes("aten.mode.default", why=_MISSING, applies=is_short)
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


@decomposes("aten.sort.stable", why="ExecuTorch has no stable sort", applies=is_short)
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
