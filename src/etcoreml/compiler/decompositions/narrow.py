"""Integers of fewer than 32 bits: Core ML computes int32, and what they do not hold wraps.

Inside of a delegate such a tensor is an int32 tensor whose values are in range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import ORIGINS, decomposes, tensors

NARROW = frozenset({torch.uint8, torch.int8, torch.int16})
"""The dtypes."""

CASTS = ("aten._to_copy.default", "dim_order_ops._to_dim_order_copy.default")
"""Names of the ops that convert to another dtype."""

_WHY = "Core ML has int32 only, which does not wrap at fewer bits"


def _may_not_fit(node: Node) -> bool:
    """Whether a cast to fewer bits is given, and shows, values that these do not hold.

    What leaves a program at once is converted by the runtime, which drops the upper bits.
    """
    dtype = node.meta["val"].dtype
    if dtype not in NARROW or not node.meta.get(ORIGINS, frozenset()).isdisjoint(CASTS):
        return False
    source = node.all_input_nodes[0].meta["val"].dtype
    if source == torch.bool or _holds(dtype, source):
        return False
    return not all(user.op == "output" for user in node.users)


def _holds(dtype: torch.dtype, source: torch.dtype) -> bool:
    if source.is_floating_point:
        return False
    limits, values = torch.iinfo(dtype), torch.iinfo(source)
    return bool(limits.min <= values.min and values.max <= limits.max)


@decomposes(*CASTS, why=_WHY, applies=_may_not_fit)
def cast(self: Tensor, *, dtype: torch.dtype, **options: Any) -> Tensor:
    """Keep the lower bits."""
    return _wrapped(self.to(torch.int32), dtype)


def _wrapped(x: Tensor, dtype: torch.dtype) -> Tensor:
    count = 1 << torch.iinfo(dtype).bits
    rest = torch.remainder(x, count)
    if dtype.is_signed:
        rest = torch.where(rest >= count // 2, rest - count, rest)
    return torch.ops.aten._to_copy.default(rest, dtype=dtype)


def _reads_narrow(node: Node) -> bool:
    return any(each.dtype in NARROW for each in tensors(node))


def _wide(x: Any) -> Any:
    return x.to(torch.int32) if isinstance(x, Tensor) and x.dtype in NARROW else x


def _computed(op: Callable[[Any, Any], Tensor], x: Any, y: Any) -> Tensor:
    """Compute in int32, or in the dtype that the other operand asks for."""
    dtype = torch.result_type(x, y)
    value = op(_wide(x), _wide(y))
    return _wrapped(value, dtype) if dtype in NARROW else value.to(dtype)


@decomposes("aten.add.Tensor", why=_WHY, applies=_reads_narrow)
def add(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """Add, and keep the lower bits."""
    return _computed(lambda x, y: x + y * alpha, self, other)


@decomposes("aten.sub.Tensor", why=_WHY, applies=_reads_narrow)
def sub(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """Subtract, and keep the lower bits."""
    return _computed(lambda x, y: x - y * alpha, self, other)


@decomposes("aten.mul.Tensor", why=_WHY, applies=_reads_narrow)
def mul(self: Tensor, other: Any) -> Tensor:
    """Multiply, and keep the lower bits."""
    return _computed(torch.mul, self, other)


@decomposes("aten.div.Tensor", why=_WHY, applies=_reads_narrow)
def div(self: Tensor, other: Any) -> Tensor:
    """Divide as numbers."""
    return torch.true_divide(_wide(self), _wide(other))
