"""A model's profile: for each operation its times, what it computes, and where it comes from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etcoreml.trace.cost import Cost
from etcoreml.trace.events import UNATTRIBUTED
from etcoreml.trace.roofline import Roofline

UNKNOWN = Cost(None, None)

UNNAMED = "-"
"""Name of the group of operations that have nothing in common by which they are grouped."""


@dataclass(frozen=True)
class Profiled:
    """One operation.

    Attributes:
        name: Debug symbol ``<output>:<op>``, of several in one kernel that with the most FLOPs; or
            the event of the runtime's own operator.
        type: MIL op, or ``ExecuTorch`` for an operator outside of the delegates.
        times_ms: Of each run, in milliseconds.
        cost: What it computes and moves, those fused with it included.
        kernel: The kernel that took the most of the time.
        fused_with: Debug symbols of what is computed with it.
        aten_ops, source, module: As of ``table.Row``; empty without an ETRecord.
    """

    name: str
    type: str
    times_ms: tuple[float, ...]
    cost: Cost = UNKNOWN
    kernel: str = ""
    fused_with: tuple[str, ...] = ()
    aten_ops: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    module: str = ""

    @property
    def median_ms(self) -> float:
        """The median of its runs, in milliseconds."""
        return statistics.median(self.times_ms)

    @property
    def gflops_per_s(self) -> float | None:
        """How fast it computed, in 1e9 operations per second."""
        if self.cost.flops is None or not self.median_ms:
            return None
        return self.cost.flops / self.median_ms / 1e6

    def roofline_share(self, roofline: Roofline) -> float | None:
        """Return how near to the machine's limits it came, see ``Roofline.share``."""
        if self.cost.flops is None or self.cost.nbytes is None or not self.median_ms:
            return None
        return roofline.share(self.cost.flops, self.cost.nbytes, self.median_ms / 1e3)

    def beaten_limits(self, roofline: Roofline) -> frozenset[str]:
        """Return the limits of the machine that it was faster than, see ``Roofline.beaten``."""
        if self.cost.flops is None or self.cost.nbytes is None:
            return frozenset()
        return roofline.beaten(self.cost.flops, self.cost.nbytes, self.median_ms / 1e3)


@dataclass(frozen=True)
class Profile:
    """All operations of a model.

    Attributes:
        operations: In order of execution, without the time that none has.
        whole_ms: Of each run, in milliseconds.
        unattributed_ms: Of each run: within delegates, but of no operation.
        details: What else there is to say, for the JSON document.
    """

    operations: tuple[Profiled, ...]
    whole_ms: tuple[float, ...]
    unattributed_ms: tuple[float, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median_ms(self) -> float:
        """The median of the runs, in milliseconds."""
        return statistics.median(self.whole_ms)


@dataclass(frozen=True)
class Group:
    """Operations that have something in common.

    Attributes:
        name: What they have in common.
        count: How many there are.
        median_ms: The sum of their medians, in milliseconds.
        cost: The sum of the known costs.
    """

    name: str
    count: int
    median_ms: float
    cost: Cost


def grouped(operations: Iterable[Profiled], key: Callable[[Profiled], str]) -> list[Group]:
    """Return groups of operations, that with the most time first."""
    members: dict[str, list[Profiled]] = {}
    for each in operations:
        members.setdefault(key(each) or UNNAMED, []).append(each)
    groups = [
        Group(name, len(found), sum(each.median_ms for each in found), _total(found))
        for name, found in members.items()
    ]
    return sorted(groups, key=lambda group: -group.median_ms)


def summed(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs; None where one is unknown."""
    given = list(costs)
    flops = [each.flops for each in given]
    nbytes = [each.nbytes for each in given]
    return Cost(
        None if None in flops else sum(each or 0 for each in flops),
        None if None in nbytes else sum(each or 0 for each in nbytes),
    )


def cost_of(name: str, fused_with: Sequence[str], costs: Mapping[str, Cost]) -> Cost:
    """Return the cost of an operation with all that is computed in the same kernel.

    Args:
        name: Its debug symbol.
        fused_with: Debug symbols of the others.
        costs: By debug symbol. FLOPs add up; the bytes are those of the dearest alone, since what
            is fused passes values on in registers.
    """
    found = [costs.get(each, UNKNOWN) for each in (name, *fused_with)]
    flops = summed(found).flops
    known = [each.nbytes for each in found if each.nbytes is not None]
    return Cost(flops, max(known) if known else None)


def is_operation(event: str) -> bool:
    """Whether an event is about an operation, and not about a method, a call or lost time."""
    return "::" not in event and event not in (UNATTRIBUTED, "DELEGATE_CALL", "OPERATOR_CALL")


def _total(operations: Sequence[Profiled]) -> Cost:
    return Cost(
        sum(each.cost.flops or 0 for each in operations),
        sum(each.cost.nbytes or 0 for each in operations),
    )
