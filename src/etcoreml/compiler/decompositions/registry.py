"""The table of own decompositions: ops that are rewritten in terms of others before conversion.

A decomposition is a function of PyTorch with the op's own parameters, so that PyTorch itself says
what dtypes and shapes come out. It is traced for each node it applies to (``expansion``), and what
it is traced to is put in the node's place. The partitioner asks the same trace whether Core ML can
take every part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import torch
from torch.fx import Node

from etcoreml.compiler.names import argument, op_name
from etcoreml.compiler.torch_ops import has_converter

Function: TypeAlias = Callable[..., Any]
Applies: TypeAlias = Callable[[Node], bool]


@dataclass(frozen=True)
class Decomposition:
    """How nodes of an op are rewritten.

    Attributes:
        function: Computes the op from others; its parameters are the op's.
        applies: Whether a node is rewritten.
        why: What the converter of coremltools does not do, or does wrongly.
    """

    function: Function
    applies: Applies
    why: str


MAX_RANK = 5
"""The most dimensions that Core ML's tensors have."""

LARGEST_WINDOW = 64
"""Windows of more elements than this are left to ExecuTorch's kernels."""

_LONGEST = 512
"""What compares each element with each is rewritten up to this length."""

_FINEST = 10_000
"""Numbers are taken for fractions of divisors up to this."""

ORIGINS = "etcoreml_origins"
"""Key of a node's ``meta``: the ops whose decompositions it came from."""

DECOMPOSITIONS: dict[str, list[Decomposition]] = {}


def always(node: Node) -> bool:
    """Apply to every node."""
    return True


def is_static(node: Node) -> bool:
    """Apply where no size of the first operand varies."""
    return all(isinstance(size, int) for size in node.all_input_nodes[0].meta["val"].shape)


def is_short(node: Node) -> bool:
    """Apply where each element of ``dim`` may be compared with each, in one more dimension.

    A size that varies without a bound is taken for short: the op cannot run otherwise.
    """
    x = node.all_input_nodes[0].meta["val"]
    low, high = size_bounds(x, argument(node, "dim")) if x.dim() else (1, 1)
    return high != 0 and low <= _LONGEST and (high or 1) <= _LONGEST and x.dim() < MAX_RANK


def size_bounds(x: torch.Tensor, dim: int) -> tuple[int, int | None]:
    """Return the fewest and the most elements of a dimension, the latter None without a bound."""
    size = x.shape[dim]
    if isinstance(size, int):
        return size, size
    bounds = size.node.shape_env.bound_sympy(size.node.expr)
    return int(bounds.lower), int(bounds.upper) if bounds.upper.is_Integer else None


def is_bounded(node: Node) -> bool:
    """Apply where the most elements that ``dim`` can have are known, and are some."""
    x = node.all_input_nodes[0].meta["val"]
    return not x.dim() or bool(largest_size(x, argument(node, "dim")))


def largest_size(x: torch.Tensor, dim: int) -> int | None:
    """Return the most elements a dimension can have, or None where no bound is known."""
    return size_bounds(x, dim)[1]


def as_fraction(number: float) -> Fraction:
    """Return the fraction of small integers that a quantile or scale factor stands for."""
    return Fraction(number).limit_denominator(_FINEST)


def has_integers(node: Node) -> bool:
    """Apply where an operand is of integers or truth values."""
    return any(not each.dtype.is_floating_point for each in tensors(node))


def gives_integers(node: Node) -> bool:
    """Apply where the result is of integers or truth values."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and not value.dtype.is_floating_point


def tensors(node: Node) -> list[torch.Tensor]:
    """Return the (fake) tensors that a node reads."""
    values = (each.meta.get("val") for each in node.all_input_nodes)
    return [each for each in values if isinstance(each, torch.Tensor)]


def decomposes(*ops: str, why: str, applies: Applies = always) -> Callable[[Function], Function]:
    """Enter a function as the decomposition of ops, e.g. ``aten.erfc.default``.

    The first entered that applies to a node is taken.
    """

    def enter(function: Function) -> Function:
        for name in ops:
            DECOMPOSITIONS.setdefault(name, []).append(Decomposition(function, applies, why))
        return function

    return enter


def find(node: Node) -> Decomposition | None:
    """Return the decomposition of a call node, or None to convert it as it is."""
    if node.op != "call_function":
        return None
    name = op_name(node)
    if name in node.meta.get(ORIGINS, ()):
        return None  # a function may call its own op for the cases that are converted as they are
    for each in DECOMPOSITIONS.get(name, ()):
        if each.applies(node):
            return each
    if _is_unconverted_composite(node.target):
        return Decomposition(cast(Function, node.target), always, "PyTorch takes it apart itself")
    return None


def is_taken_whole(node: Node) -> bool:
    """Whether an op has a converter or a decomposition of ours: it need not come in parts."""
    name = op_name(node)
    return has_converter(name) or any(each.applies(node) for each in DECOMPOSITIONS.get(name, ()))


def _is_unconverted_composite(target: object) -> bool:
    """Whether PyTorch itself composes an op from others, and coremltools has no converter."""
    return (
        isinstance(target, torch._ops.OpOverload)
        and not has_converter(str(target))
        and bool(
            torch._C._dispatch_has_kernel_for_dispatch_key(
                target.name(), "CompositeImplicitAutograd"
            )
        )
    )
