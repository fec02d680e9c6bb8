"""A partitioner that leaves nodes outside which made the conversion of a partition fail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from executorch.exir.backend.partitioner import Partitioner, PartitionResult
from torch.export import ExportedProgram
from torch.fx import Node

from etcoreml.compiler.blame import Culprit
from etcoreml.partition.node import op_name

if TYPE_CHECKING:
    from etcoreml.partition.partitioner import CoreMLPartitioner

_ENOUGH = 3
"""So many failing nodes of one op, and the others of that op are not tried one by one."""


class Without(Partitioner):  # type: ignore[misc] # executorch is untyped
    """Partition as another partitioner does, without some nodes.

    Args:
        partitioner: The one that the user made. Its report gets the decisions.
        culprits: The nodes to leave outside; of an op that is among them often, all nodes.
    """

    def __init__(self, partitioner: CoreMLPartitioner, culprits: tuple[Culprit, ...]) -> None:
        super().__init__()
        self._partitioner = partitioner
        self._culprits = culprits
        self.delegation_spec = partitioner.delegation_spec
        self.lower_full_graph = False

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        """Tag the nodes of an edge program that go to Core ML."""
        failed = {each.node: each.reason for each in self._culprits}
        counts = Counter(each.op for each in self._culprits)
        often = {each.op: each.reason for each in self._culprits if counts[each.op] >= _ENOUGH}

        def why_left_out(node: Node) -> str | None:
            return failed.get(node.name) or often.get(op_name(node))

        return self._partitioner.partition_without(exported_program, why_left_out)

    def has_left_out(self, culprit: Culprit) -> bool:
        """Whether a node is among the culprits."""
        return any(each.node == culprit.node for each in self._culprits)

    def without(self, culprit: Culprit | None) -> Without:
        """Return a partitioner that leaves another node outside as well."""
        self._partitioner.forget_program()
        more = () if culprit is None else (culprit,)
        return Without(self._partitioner, (*self._culprits, *more))
