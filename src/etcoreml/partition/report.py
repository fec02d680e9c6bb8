"""What a partitioner decided about every node, and why.

What enters is one decision per node; what leaves is a list to read, filter or print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """What became of one node.

    Attributes:
        program: Number of the program, in the order the partitioner saw them: the methods of a
            program come one after the other.
        node: Name of the node in the edge program.
        op: Its op, e.g. ``aten.mm.default``; ``buffer`` for a mutable buffer.
        delegated: Whether it runs inside a Core ML delegate.
        reason: Why it does not, as a sentence without a full stop; None when it does.
    """

    program: int
    node: str
    op: str
    delegated: bool
    reason: str | None = None


class DelegationReport:
    """The decisions of one partitioner, in graph order.

    Args:
        decisions: Decisions to start with.
    """

    def __init__(self, decisions: Iterable[Decision] = ()) -> None:
        self._decisions = list(decisions)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions)

    def __len__(self) -> int:
        return len(self._decisions)

    def add(self, decision: Decision) -> None:
        """Append one decision."""
        self._decisions.append(decision)

    @property
    def delegated(self) -> list[Decision]:
        """The nodes inside a delegate."""
        return [each for each in self if each.delegated]

    @property
    def left_out(self) -> list[Decision]:
        """The nodes outside, each with its reason."""
        return [each for each in self if not each.delegated]

    def __str__(self) -> str:
        lines = [f"{len(self.delegated)} of {len(self)} nodes delegated to Core ML"]
        reasons = Counter((each.op, each.reason) for each in self.left_out)
        lines += [f"{count:5d} x {op}: {reason}" for (op, reason), count in reasons.most_common()]
        return "\n".join(lines)
