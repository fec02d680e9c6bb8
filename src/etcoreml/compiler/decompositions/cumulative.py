"""Scans: what a dimension adds up to so far."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from etcoreml.compiler.decompositions.registry import (
    decomposes,
    is_bounded,
    is_short,
    largest_size,
)

_MISSING = "coremltools 9.0 has no converter for it"


def _wide(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return x as (..., 1, n) with ``dim`` last, and which element precedes which, (n, n)."""
    moved = x.movedim(dim, -1).unsqueeze(-2)
    steps = torch.arange(x.shape[dim])
    return moved, steps.unsqueeze(0) <= steps.unsqueeze(1)


def _factors(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Return numbers of the dtype that PyTorch multiplies in."""
    return x.to(dtype or (x.dtype if x.is_floating_point() else torch.int64))


@decomposes("aten.cumprod.default", why=_MISSING, applies=is_short)
def cumprod(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Multiply what precedes each element."""
    x = _factors(self, dtype)
    if x.dim() == 0:
        return x.clone()
    wide, precedes = _wide(x, dim)
    return torch.where(precedes, wide, torch.ones_like(wide)).prod(-1).movedim(-1, dim)


def _steps(x: Tensor, dim: int) -> list[int]:
    """Return 1, 2, 4, ... up to what reaches across the largest size."""
    bound = largest_size(x, dim) or 0
    return [2**each for each in range(math.ceil(math.log2(bound)) if bound else 0)]


def _before(x: Tensor, step: int, fill: float) -> Tensor:
    """Return what is some places before each element of the last axis."""
    return functional.pad(x, (step, 0), value=fill)[..., : x.shape[-1]]


@decomposes("aten.cumprod.default", why=_MISSING, applies=is_bounded)
def long_cumprod(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Multiply with what is 1, 2, 4, ... places before."""
    x = _factors(self, dtype)
    if x.dim() == 0:
        return x.clone()
    steps, product = _steps(x, dim), x.movedim(dim, -1)
    for step in steps:
        product = product * _before(product, step, 1)
    return product.movedim(-1, dim) if steps else x.clone()


def _extreme(x: Tensor, dim: int, sign: int) -> tuple[Tensor, Tensor]:
    """Compare with the extreme of what is 1, 2, 4, ... places before: the last of equals wins."""
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    least: float = -sign * math.inf
    if not x.is_floating_point():
        least = -(2**31) if sign > 0 else 2**31 - 1
    values = x.movedim(dim, -1)
    if x.dtype == torch.bool:
        values = values.to(torch.int32)
    at = torch.arange(x.shape[dim]) + torch.zeros_like(values, dtype=torch.int64)
    for step in _steps(x, dim):
        before, place = _before(values, step, least), _before(at, step, 0)
        stays = values >= before if sign > 0 else values <= before
        if x.is_floating_point():
            stays = stays | (values != values)  # NaN is an extreme
        values, at = torch.where(stays, values, before), torch.where(stays, at, place)
    return values.movedim(-1, dim).to(x.dtype), at.movedim(-1, dim)


@decomposes("aten.cummax.default", why=_MISSING, applies=is_bounded)
def cummax(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the largest so far, and where it was last."""
    return _extreme(self, dim, 1)


@decomposes("aten.cummin.default", why=_MISSING, applies=is_bounded)
def cummin(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Find the smallest so far, and where it was last."""
    return _extreme(self, dim, -1)


@decomposes(
    "aten.logcumsumexp.default",
    why="coremltools 9.0 adds up exponentials, which overflow from 89 on",
    applies=is_bounded,
)
def logcumsumexp(self: Tensor, dim: int) -> Tensor:
    """Add what is 1, 2, 4, ... places before, as logarithms."""
    if self.dim() == 0:
        return self.clone()
    steps, x = _steps(self, dim), self.movedim(dim, -1)
    for step in steps:
        x = torch.logaddexp(x, _before(x, step, -math.inf))
    return x.movedim(-1, dim) if steps else self.clone()
