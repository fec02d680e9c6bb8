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
from etcoreml.compiler.names import argument, op_name

NARROW = frozenset({torch.uint8, torch.int8, torch.int16})
"""The dtypes."""

CASTS = ("aten._to_copy.default", "dim_order_ops._to_dim_order_copy.default")
"""Names of the ops that convert to another dtype."""

FILLS = {"aten.full.default": 1, "aten.scalar_tensor.default": 0}
"""Names of the ops that fill a tensor with a number, and which argument that is."""

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


def is_filled_in_range(node: Node) -> bool:
    """Whether a node fills a tensor of fewer bits with a number that these hold."""
    if op_name(node) not in FILLS:
        return False
    value, dtype = node.args[FILLS[op_name(node)]], node.meta["val"].dtype
    if dtype not in NARROW or not isinstance(value, (int, float)):
        return False
    limits = torch.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def _holds(dtype: torch.dtype, source: torch.dtype) -> bool:
    if source.is_floating_point:
        return False
    limits, values = torch.iinfo(dtype), torch.iinfo(source)
    return bool(limits.min <= values.min and values.max <= limits.max)


@decomposes(*CASTS, why=_WHY, applies=_may_not_fit)
def cast(self: Tensor, *, dtype: torch.dtype, **options: Any) -> Tensor:
    """Keep the lower bits."""
    return wrapped(self.to(torch.int32), dtype)


def wrapped(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a dtype of fewer bits keeps of int32."""
    count = 1 << torch.iinfo(dtype).bits
    rest = torch.remainder(x, count)
    if dtype.is_signed:
        rest = torch.where(rest >= count // 2, rest - count, rest)
    return torch.ops.aten._to_copy.default(rest, dtype=dtype)


def reads_narrow(node: Node) -> bool:
    """Whether an operand is of integers of fewer than 32 bits."""
    return any(each.dtype in NARROW for each in tensors(node))


def widened(x: Any) -> Any:
    """Return a tensor of fewer bits as int32, and anything else as it is."""
    return x.to(torch.int32) if isinstance(x, Tensor) and x.dtype in NARROW else x


def brought_into(value: Any, dtype: torch.dtype) -> Any:
    """Return an integer, or a tensor of some, as what fewer bits keep of it."""
    if isinstance(value, Tensor):
        fits = value.dtype == torch.bool or _holds(dtype, value.dtype)
        return value if fits else wrapped(value.to(torch.int32), dtype)
    limits = torch.iinfo(dtype)
    return (value - limits.min) % (1 << limits.bits) + limits.min


def _computed(op: Callable[[Any, Any], Tensor], x: Any, y: Any) -> Tensor:
    """Compute in int32, or in the dtype that the other operand asks for."""
    dtype = torch.result_type(x, y)
    if dtype not in NARROW:
        return op(widened(x), widened(y)).to(dtype)
    # What is kept in the end depends on the lower bits only, and int32 holds what is made of them.
    return wrapped(op(*(widened(brought_into(each, dtype)) for each in (x, y))), dtype)


@decomposes("aten.add.Tensor", why=_WHY, applies=reads_narrow)
def add(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """Add, and keep the lower bits."""
    return _computed(lambda x, y: x + y * alpha, self, other)


@decomposes("aten.sub.Tensor", why=_WHY, applies=reads_narrow)
def sub(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """Subtract, and keep the lower bits."""
    return _computed(lambda x, y: x - y * alpha, self, other)


@decomposes("aten.rsub.Tensor", "aten.rsub.Scalar", why=_WHY, applies=reads_narrow)
def rsub(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """Subtract from the other, and keep the lower bits."""
    return _computed(lambda x, y: y - x * alpha, self, other)


@decomposes("aten.mul.Tensor", why=_WHY, applies=reads_narrow)
def mul(self: Tensor, other: Any) -> Tensor:
    """Multiply, and keep the lower bits."""
    return _computed(torch.mul, self, other)


@decomposes("aten.div.Tensor", why=_WHY, applies=reads_narrow)
def div(self: Tensor, other: Any) -> Tensor:
    """Divide as numbers."""
    return torch.true_divide(widened(self), widened(other))


@decomposes("aten.div.Tensor_mode", "aten.div.Scalar_mode", why=_WHY, applies=reads_narrow)
def div_mode(self: Tensor, other: Any, rounding_mode: str | None = None) -> Tensor:
    """Divide and round, and keep the lower bits: -128 by -1 is -128 in int8."""
    return _computed(lambda x, y: torch.div(x, y, rounding_mode=rounding_mode), self, other)


@decomposes("aten.floor_divide.default", why=_WHY, applies=reads_narrow)
def floor_divide(self: Tensor, other: Any) -> Tensor:
    """Divide and round down, and keep the lower bits."""
    return _computed(lambda x, y: torch.div(x, y, rounding_mode="floor"), self, other)


@decomposes("aten.remainder.Tensor", "aten.remainder.Scalar", why=_WHY, applies=reads_narrow)
def remainder(self: Tensor, other: Any) -> Tensor:
    """Compute the remainder that has the sign of the divisor."""
    return _computed(torch.remainder, self, other)


def _has_whole_power(node: Node) -> bool:
    power = argument(node, "exponent")
    return reads_narrow(node) and (isinstance(power, float) or power >= 0)


@decomposes("aten.pow.Tensor_Scalar", why=_WHY, applies=_has_whole_power)
def power(self: Tensor, exponent: float) -> Tensor:
    """Multiply squares, and keep the lower bits each time."""
    if isinstance(exponent, float):
        return torch.pow(self.to(torch.get_default_dtype()), exponent)
    result, square = torch.ones_like(widened(self)), widened(self)
    while exponent:
        if exponent & 1:
            result = widened(wrapped(result * square, self.dtype))
        exponent >>= 1
        if exponent:
            square = widened(wrapped(square * square, self.dtype))
    return wrapped(result, self.dtype)


def _makes_narrow(node: Node) -> bool:
    return node.meta["val"].dtype in NARROW


def _reads_or_makes_narrow(node: Node) -> bool:
    return reads_narrow(node) or _makes_narrow(node)


@decomposes("aten.cumsum.default", why=_WHY, applies=_reads_or_makes_narrow)
def cumsum(self: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Add up what ``dtype`` holds of each, and keep the lower bits."""
    dtype = dtype or torch.int64
    if dtype not in NARROW:
        return torch.cumsum(widened(self), dim, dtype=dtype)
    return wrapped(torch.cumsum(widened(self.to(dtype)), dim, dtype=torch.int32), dtype)


@decomposes("aten.sum.dim_IntList", "aten.sum.default", why=_WHY, applies=_makes_narrow)
def sum_into(
    self: Tensor,
    dim: list[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Sum what ``dtype`` holds of each, and keep the lower bits."""
    dtype = dtype or self.dtype
    parts = widened(self.to(dtype))
    return wrapped(torch.sum(parts, dim, keepdim, dtype=torch.int32), dtype)


def _is_compared_beyond(node: Node) -> bool:
    """Whether an operand has to wrap before it is compared, as PyTorch has it."""
    if len(node.args) < 2 or not isinstance(node.args[0], Node):
        return False
    x, other = node.args[0].meta["val"], node.args[1]
    if isinstance(other, Node):
        y = other.meta["val"]
        if not isinstance(y, Tensor) or y.dtype.is_floating_point or y.dtype == torch.bool:
            return False
        dtype = torch.result_type(x, y)
        return dtype in NARROW and not (_holds(dtype, x.dtype) and _holds(dtype, y.dtype))
    if not isinstance(other, int) or isinstance(other, bool) or x.dtype not in NARROW:
        return False
    limits = torch.iinfo(x.dtype)
    return not limits.min <= other <= limits.max


_WRAPS = "PyTorch wraps the larger operand to the fewer bits of the other before it compares"


def _enter_comparisons() -> None:
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        op = getattr(torch, name)

        def compare(self: Tensor, other: Any, op: Callable[..., Tensor] = op) -> Tensor:
            dtype = torch.result_type(self, other)
            x, y = (widened(brought_into(each, dtype)) for each in (self, other))
            return op(x, y)

        names = (f"aten.{name}.Scalar", f"aten.{name}.Tensor")
        decomposes(*names, why=_WRAPS, applies=_is_compared_beyond)(compare)


_enter_comparisons()
