"""Lower bounds of sizes that vary, as the user gave them.

torch specialises sizes of 0 and 1, and its passes raise a lower bound of 1 to 2 on the way from
ATen to edge dialect. Programs run with a size of 1 all the same, but Core ML refuses what its
model does not declare. What enters is the program before and after; what changes are the bounds.
"""

from __future__ import annotations

from torch.export import ExportedProgram
from torch.utils._sympy.value_ranges import ValueRanges

_Inputs = tuple[str, ...]


class GivenBounds:
    """Remembers the bounds of programs in ATen dialect."""

    def __init__(self) -> None:
        self._given: dict[_Inputs, dict[str, int]] = {}

    def remember(self, program: ExportedProgram) -> None:
        """Keep the lower bounds of a program in ATen dialect."""
        self._given[_inputs(program)] = {
            str(symbol): int(bounds.lower)
            for symbol, bounds in program.range_constraints.items()
            if bounds.lower in (0, 1)
        }

    def restore(self, program: ExportedProgram) -> None:
        """Lower the bounds that were raised in a program with the same inputs."""
        given = self._given.get(_inputs(program), {})
        for symbol, bounds in program.range_constraints.items():
            low = given.get(str(symbol))
            if low is not None and bounds.lower == 2:
                program.range_constraints[symbol] = ValueRanges(max(low, 1), bounds.upper)


def _inputs(program: ExportedProgram) -> _Inputs:
    """Return what tells programs apart: the symbolic shapes of the inputs; names may change."""
    wanted = set(program.graph_signature.user_inputs)
    return tuple(
        str(getattr(node.meta.get("val"), "shape", None))
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in wanted
    )
