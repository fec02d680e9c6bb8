"""Scans: what a dimension adds up to so far."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional

from etcoreml.compiler.decompositions.registry import decomposes, is_short, largest_size
from etcoreml.compiler.names import argument

_MISSING = "coremltools 9.0 has no converter for it"


def _wide(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return x as (..., 1, n) with ``dim`` last, and which element precedes which, (n, n)."""
    moved = x.movedim(dim, -1).unsqueeze(-2)
    steps = torch.arange(x.shape[dim])
    return moved, steps.unsqueeze(0) <= steps.unsqueeze(1)


@decomposes("aten.cumprod.default", why=_MISSING, applies=is_short)
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


@decomposes("aten.cummax.default", why=_MISSING, applies=is_short)
def cummax(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the largest so far, and where it was last."""
    return _extreme(self, dim, 1)


@decomposes("aten.cummin.default", why=_MISSING, applies=is_short)
def cummin(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the smallest so far, and where it was last."""
    return _extreme(self, dim, -1)


def _is_bounded(node: Node) -> bool:
    x = node.all_input_nodes[0].meta["val"]
    return x.dim() == 0 or largest_size(x, argument(node, "dim")) is not None


@decomposes(
    "aten.logcumsumexp.default",
    why="coremltools 9.0 adds up exponentials, which overflow from 89 on",
    applies=_is_bounded,
)
def logcumsumexp(self: Tensor, dim: int) -> Tensor:
    """Add what is 1, 2, 4, ... places before, as logarithms."""
    if self.dim() == 0:
        return self.clone()
    x = self.movedim(dim, -1)
    bound = largest_size(self, dim) or 0
    for step in (2**each for each in range(math.ceil(math.log2(bound)) if bound else 0)):
        before = functional.pad(x, (step, 0), value=-math.inf)[..., : x.shape[-1]]
        x = torch.logaddexp(x, before)
    return x.movedim(-1, dim) if bound > 1 else x.movedim(-1, dim).clone()
