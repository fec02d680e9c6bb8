"""Lower a program again, without the nodes that made a partition fail.

ExecuTorch partitions first and calls the backend afterwards, with no way to give nodes back. So
the lowering under way, whose inputs are unchanged, is run once more from inside: the partitioner
leaves the nodes at fault outside, and the programs that come out take the place of those that the
outer run has begun. Nothing of this costs anything as long as partitions convert. Where ExecuTorch
calls the backend in another way (``to_backend(program, partitioner)``), where the whole graph was
asked for, and where ExecuTorch could not run the node, the failure is an error.

Source: executorch 1.5.1 ``exir/backend/backend_api.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from executorch.exir.backend import backend_api
from executorch.exir.backend.backend_api import MethodProgramsPartitionerSpec

from etcoreml.compiler.blame import Culprit
from etcoreml.compiler.resolution import frames


@runtime_checkable
class LeavesOut(Protocol):
    """A partitioner that can be asked to leave nodes outside.

    Attributes:
        lower_full_graph: Whether it may not.
    """

    lower_full_graph: bool

    def has_left_out(self, culprit: Culprit) -> bool:
        """Whether a node is outside already, in vain: to leave it out again would not end."""

    def without(self, culprit: Culprit | None) -> Any:
        """Return a partitioner like this one that leaves a node outside.

        It is asked for every method that is lowered again, also those without such a node.
        """


_LOWER_ALL = backend_api.lower_all_submodules_to_backend.__code__
_TO_BACKEND = backend_api.to_backend.dispatch(MethodProgramsPartitionerSpec).__code__


def lowered_without(culprits: Mapping[str, Culprit]) -> bool:
    """Lower the programs of the call under way again, and put the results in place.

    Args:
        culprits: Method name to the node to leave outside.

    Returns:
        Whether that was possible. If so, ExecuTorch is to be given no result for any method.

    Raises:
        LowerError: A partition failed again, and no node is to blame.
    """
    begun = _local(_LOWER_ALL, "method_to_tagged_edge_program")
    asked = _local(_TO_BACKEND, "method_edge_program_partitioners")
    runs = culprits and all(each.can_run_outside for each in culprits.values())
    if not runs or begun is None or asked is None:
        return False
    partitioners = {
        method: each
        for method, each in asked.method_to_partitioner.items()
        if isinstance(each, LeavesOut) and not each.lower_full_graph
    }
    if not partitioners.keys() >= culprits.keys():
        return False
    if any(partitioners[method].has_left_out(each) for method, each in culprits.items()):
        return False
    programs = {method: asked.method_to_edge_program[method] for method in partitioners}
    again = {method: each.without(culprits.get(method)) for method, each in partitioners.items()}
    begun.update(backend_api.to_backend(MethodProgramsPartitionerSpec(programs, again)))
    return True


def _local(code: Any, name: str) -> Any:
    """Return a local variable of the innermost call of a function under way, or None."""
    for frame in frames():
        if frame.f_code is code:
            return frame.f_locals.get(name)
    return None
