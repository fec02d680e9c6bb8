"""Shifts of bits as multiplications and divisions, none of which leaves int32.

PyTorch shifts by less than nothing, or by more bits than there are, as by all of them. What int64
holds beyond int32 is lost, as it is in every other op (``partition.support.general``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from etcoreml.compiler.decompositions.narrow import NARROW, brought_into, widened, wrapped
from etcoreml.compiler.decompositions.registry import decomposes

_Step: TypeAlias = Callable[[Tensor, int], Tensor]

_WHY = "coremltools 9.0 has no converter for it"
_STEPS = (16, 8, 4, 2, 1)
_OVERLOADS = ("Tensor", "Tensor_Scalar", "Scalar_Tensor")


def _names(side: str) -> tuple[str, ...]:
    """Return the names of the ops of ``left`` or ``right``; ``<<`` and ``>>`` have their own."""
    named = (f"aten.bitwise_{side}_shift.{each}" for each in _OVERLOADS)
    return (*named, *(f"aten.__{side[0]}shift__.{each}" for each in ("Tensor", "Scalar")))


@decomposes(*_names("left"), why=_WHY)
def left_shift(self: Tensor | int, other: Tensor | int) -> Tensor:
    """Multiply by powers of two, and keep the lower bits."""
    value, count, dtype = _operands(self, other)
    if not isinstance(count, Tensor):
        if not 0 <= count < 32:
            return _given_back(value * 0, dtype)
        return _given_back(_multiplied(value, count) if count else value.clone(), dtype)
    beyond = (count < 0) | (count > 31)
    shifted = _stepped(value, count, _multiplied)
    return _given_back(torch.where(beyond, 0, shifted), dtype)


@decomposes(*_names("right"), why=_WHY)
def right_shift(self: Tensor | int, other: Tensor | int) -> Tensor:
    """Divide by powers of two, rounding down: in the end the sign is left, 0 or -1."""
    value, count, dtype = _operands(self, other)
    if not isinstance(count, Tensor):
        shifts = (count,) if 0 < count < 31 else (30, 1) if count else ()
        for bits in shifts:
            value = _divided(value, bits)
        return _given_back(value if shifts else value.clone(), dtype)
    count = torch.where((count < 0) | (count > 31), 31, count)
    return _given_back(_stepped(value, count, _divided), dtype)


def _operands(self: Tensor | int, other: Tensor | int) -> tuple[Tensor, Tensor | int, torch.dtype]:
    """Return what is shifted and how far, as what the dtype of the result holds of them."""
    dtype = torch.result_type(self, other)
    count = other if isinstance(other, Tensor) else int(other)
    if dtype in NARROW:
        value, count = widened(brought_into(self, dtype)), widened(brought_into(count, dtype))
    else:
        value = self
    inner = torch.int32 if dtype in NARROW else dtype
    if not isinstance(value, Tensor):
        value = torch.full_like(count, value, dtype=inner)
    return value.to(inner), count.to(inner) if isinstance(count, Tensor) else count, dtype


def _stepped(value: Tensor, count: Tensor, step: _Step) -> Tensor:
    """Shift by each bit of the count: integers all the way, so that nothing is rounded."""
    for bits in _STEPS:
        takes = count >= bits
        value = torch.where(takes, step(value, bits), value)
        count = torch.where(takes, count - bits, count)
    return value


def _multiplied(value: Tensor, bits: int) -> Tensor:
    """Shift to the left by 1 to 31 bits: what is shifted out goes first, the sign is apart."""
    places = 1 << (31 - bits)
    sign = torch.remainder(torch.div(value, places, rounding_mode="floor"), 2)
    low = torch.remainder(value, places) * (1 << bits) if bits < 31 else value * 0
    return torch.where(sign == 1, low + -(2**31), low)


def _divided(value: Tensor, bits: int) -> Tensor:
    return torch.div(value, 1 << bits, rounding_mode="floor")


def _given_back(value: Tensor, dtype: torch.dtype) -> Tensor:
    return wrapped(value, dtype) if dtype in NARROW else value
