"""Quantiles of a size that varies, whose place is computed in integers.

PyTorch's own decomposition multiplies the size as a number, on which ExecuTorch fails; and in fp16
the place of a quantile among thousands would be off by whole elements.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import as_fraction, decomposes, is_static

_WHY = "ExecuTorch 1.5 fails on the fractions of sizes that PyTorch takes it apart into"


def _varies(node: Node) -> bool:
    return not is_static(node)


@decomposes("aten.quantile.scalar", "aten.quantile.default", why=_WHY, applies=_varies)
def quantile(
    self: Tensor,
    q: Tensor | float,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """Interpolate between sorted neighbours; where a number is NaN, so is the quantile."""
    return _of_rows(self, q, dim, keepdim, interpolation, torch.any)


@decomposes("aten.nanquantile.scalar", "aten.nanquantile.default", why=_WHY, applies=_varies)
def nanquantile(
    self: Tensor,
    q: Tensor | float,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """Interpolate between sorted neighbours that are not NaN."""
    return _of_rows(self, q, dim, keepdim, interpolation, torch.all)


def _of_rows(
    x: Tensor,
    q: Tensor | float,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    spoils: Callable[..., Tensor],
) -> Tensor:
    """Return the quantiles along an axis, or of all; NaN where it ``spoils`` a row."""
    rows = x.reshape(-1) if dim is None else x.movedim(dim, -1)
    value = _between(rows, q, interpolation)
    value = torch.where(spoils(rows != rows, -1, keepdim=True), torch.nan, value)
    return _arranged(value, x, q, dim, keepdim)


def _between(rows: Tensor, q: Tensor | float, interpolation: str) -> Tensor:
    """Return the quantiles of the last axis, (..., 1) or (..., count of q)."""
    missing = rows != rows
    ordered = torch.sort(torch.where(missing, torch.inf, rows), dim=-1).values
    last = ((~missing).to(torch.int64).sum(-1, keepdim=True) - 1).clamp(min=0)
    if isinstance(q, Tensor):
        place = q.reshape(-1) * last.to(q.dtype)
        low = torch.floor(place).to(torch.int64)
        part = place - low.to(q.dtype)
    else:
        ratio = as_fraction(q)
        steps = last * ratio.numerator
        low = torch.div(steps, ratio.denominator, rounding_mode="floor")
        part = (steps - low * ratio.denominator).to(rows.dtype) / ratio.denominator
    high = low + (part > 0).to(torch.int64)
    if interpolation == "lower":
        high = low
    elif interpolation == "higher":
        low = high
    elif interpolation == "nearest":
        is_odd = torch.remainder(low, 2) == 1
        low = high = torch.where((part > 0.5) | ((part == 0.5) & is_odd), high, low)
    elif interpolation == "midpoint":
        part = torch.full_like(part, 0.5)
    below = torch.gather(ordered, -1, low)
    if low is high:
        return below
    above = torch.gather(ordered, -1, high)
    gap = above - below
    return torch.where(part < 0.5, below + gap * part, above - gap * (1 - part))


def _arranged(
    value: Tensor, x: Tensor, q: Tensor | float, dim: int | None, keepdim: bool
) -> Tensor:
    """Return quantiles where PyTorch has them: in front, or nowhere for a single one."""
    if isinstance(q, Tensor) and q.dim():
        front = value.movedim(-1, 0)
        if not keepdim:
            return front
        return (
            front.reshape(-1, *[1] * x.dim()) if dim is None else front.unsqueeze(dim % x.dim() + 1)
        )
    single = value.squeeze(-1)
    if not keepdim:
        return single
    return single.reshape([1] * x.dim()) if dim is None else single.unsqueeze(dim % x.dim())
