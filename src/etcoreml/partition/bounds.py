"""Lower bounds of sizes that vary, as the user gave them.

torch specialises sizes of 0 and 1, and its passes raise a lower bound of 1 to 2 on the way from
ATen to edge dialect, and that of twice such a size to 4. Programs run with a size of 1 all the
same, but Core ML refuses what its model does not declare. It has no empty tensors: a given 0
becomes 1. What enters is the program before and after; what changes are the bounds.
"""

from __future__ import annotations

from typing import Any

from torch.export import ExportedProgram
from torch.utils._sympy.value_ranges import ValueRanges

_Inputs = tuple[str, ...]


class GivenBounds:
    """Remembers the bounds of programs in ATen dialect."""

    def __init__(self) -> None:
        self._given: dict[_Inputs, dict[str, int]] = {}

    def remember(self, program: ExportedProgram) -> None:
        """Keep the lower bounds of a program in ATen dialect."""
        given = self._given.setdefault(_inputs(program), {})
        for symbol, bounds in program.range_constraints.items():
            if not symbol.is_Symbol:
                given |= _of_expression(symbol, bounds.lower)
            elif bounds.lower in (0, 1):
                given[str(symbol)] = 1

    def restore(self, program: ExportedProgram) -> None:
        """Lower the bounds that were raised in a program with the same inputs."""
        given = self._given.get(_inputs(program), {})
        for symbol, bounds in program.range_constraints.items():
            low = given.get(str(symbol))
            if low is not None and (bounds.lower == 2 or not symbol.is_Symbol):
                program.range_constraints[symbol] = ValueRanges(low, bounds.upper)


def _of_expression(expression: Any, lower: Any) -> dict[str, int]:
    """Return the lower bounds of an expression such as ``2*s`` and of its size, if that may be 1.

    torch.export keeps the bound that the user gave for the expression only.
    """
    symbols = expression.free_symbols
    least = expression.subs(dict.fromkeys(symbols, 1))
    if len(symbols) != 1 or not least.is_Integer or least < max(lower, 1):
        return {}
    return {str(expression): int(least), str(*symbols): 1}


def _inputs(program: ExportedProgram) -> _Inputs:
    """Return what tells programs apart, in either dialect; names of inputs may change.

    These are the symbolic shapes of the inputs and the ranges of the symbols, which are named alike
    in other methods. Ranges from 1 and from 2 are not told apart: declaring 1 does no harm.
    """
    wanted = set(program.graph_signature.user_inputs)
    ranges = sorted(
        f"{symbol}: {max(bounds.lower, 2) if symbol.is_Symbol else ''} to {bounds.upper}"
        for symbol, bounds in program.range_constraints.items()
    )
    shapes = (
        str(getattr(node.meta.get("val"), "shape", None))
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in wanted
    )
    return (*shapes, *ranges)
