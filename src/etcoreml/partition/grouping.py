"""Group the nodes that go to Core ML into partitions, as few as can be without a cycle.

What enters is a graph and which of its nodes are taken; what leaves are partitions. A partition
that passed a value outside and read what becomes of it would wait for its own result, so two are
joined only if no way from one to the other leads through something else. Nodes are seen from the
last to the first, and each is joined with every partition it can be, the oldest first: the same
result as ``torch.fx``'s CapabilityBasedPartitioner, which walks all that follows a partition
whenever it compares two, and so takes a time that grows with the square of the nodes and with the
partitions. Here, sets of partitions are integers of a bit each, and a comparison is two operations.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field

from torch.fx import Graph, Node


@dataclass
class Partition:
    """Nodes that become one delegate.

    Attributes:
        id: A number that no other partition of the graph has.
        nodes: Its nodes, in graph order.
    """

    id: int
    nodes: list[Node]


def group(graph: Graph, outside: Container[Node]) -> list[Partition]:
    """Return partitions of the nodes that are not left outside, with theirs in graph order.

    Args:
        graph: A graph in topological order.
        outside: The nodes that may not be in a partition.
    """
    groups = _Groups()
    settled = True
    for node in reversed(graph.nodes):
        if node not in outside:
            groups.enter(node)
            settled = False
        else:
            groups.leave_outside(node)
            if not settled:
                # What is independent of each other may go together, too.
                settled = not groups.join_oldest()
    members = {unit.id: dict.fromkeys(reversed(unit.nodes)) for unit in groups.units.values()}
    _keep_results_together(graph, members)
    order = {node: index for index, node in enumerate(graph.nodes)}
    return [
        Partition(number, sorted(nodes, key=order.__getitem__))
        for number, nodes in members.items()
        if nodes
    ]


@dataclass(eq=False)
class _Unit:
    """A partition while it grows; ``age`` is the number of the first that went into it."""

    id: int
    age: int
    nodes: list[Node]
    mask: int  # the bits of all that went into it
    users: dict[Node, None]  # nodes outside that read its results
    reach: int = 0  # bits of the partitions that can be reached from it
    beyond: int | None = field(default=None)  # those that a way through a third one leads to


class _Groups:
    """The partitions so far: all nodes that were entered, and what they reach."""

    def __init__(self) -> None:
        self.units: dict[int, _Unit] = {}
        self._of: dict[Node, _Unit] = {}
        self._outside: dict[Node, int] = {}  # what nodes outside reach
        self._count = 0

    def join_oldest(self) -> bool:
        """Join the oldest partition with every other that it can be, as ``join_with_others``."""
        if not self.units:
            return False
        return self.join_with_others(min(self.units.values(), key=operator.attrgetter("age")))

    def leave_outside(self, node: Node) -> None:
        if node.all_input_nodes:  # else nothing asks what it reaches
            self._outside[node] = self._reached(node.users)

    def enter(self, node: Node) -> None:
        number = self._count
        self._count += 1
        users = dict(node.users)
        unit = _Unit(number, number, [node], 1 << number, users, self._reached(users))
        self.units[number] = unit
        self._of[node] = unit
        self.join_with_others(unit)

    def join_with_others(self, unit: _Unit) -> bool:
        """Join a partition with every other that it can be; return whether there was one."""
        others = sorted(self.units.values(), key=operator.attrgetter("age"))
        others.remove(unit)
        grown = unit
        for other in others:
            if not self._is_cyclic(grown, other):
                grown = self._join(grown, other)
        return len(self.units) <= len(others)

    def _reached(self, users: Iterable[Node]) -> int:
        reached = 0
        for user in users:
            unit = self._of.get(user)
            reached |= self._outside.get(user, 0) if unit is None else unit.mask | unit.reach
        return reached

    def _is_cyclic(self, one: _Unit, other: _Unit) -> bool:
        """Whether a way between two partitions leads through something else."""
        return bool(self._beyond(one) & other.mask or self._beyond(other) & one.mask)

    def _beyond(self, unit: _Unit) -> int:
        if unit.beyond is None:
            unit.beyond = 0
            for user in unit.users:
                after = self._of.get(user)
                unit.beyond |= self._outside.get(user, 0) if after is None else after.reach
        return unit.beyond

    def _join(self, one: _Unit, other: _Unit) -> _Unit:
        """Join two partitions; the larger, or else the first, keeps its number."""
        kept, gone = (other, one) if len(one.nodes) < len(other.nodes) else (one, other)
        mask = kept.mask | gone.mask
        reach = (kept.reach | gone.reach) & ~mask
        before = (*(each.reach for each in self.units.values()), *self._outside.values())
        is_new = gone.reach & ~(kept.mask | kept.reach) or any(
            reached & gone.mask for reached in before
        )
        kept.mask, kept.reach, kept.age = mask, reach, min(kept.age, gone.age)
        kept.nodes.extend(gone.nodes)
        for node in gone.nodes:
            self._of[node] = kept
        del self.units[gone.id]
        kept.users = {
            user: None for user in (*kept.users, *gone.users) if self._of.get(user) is not kept
        }
        kept.beyond = None
        if is_new:
            for unit in self.units.values():
                if unit.reach & mask:
                    unit.reach |= reach
                unit.beyond = None
            for node, reached in self._outside.items():
                if reached & mask:
                    self._outside[node] = reached | reach
        return kept


def _keep_results_together(graph: Graph, members: dict[int, dict[Node, None]]) -> None:
    """Put what picks a result of a node into its partition, or outside with it."""
    of = {node: number for number, nodes in members.items() for node in nodes}
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            if not _gives_picked_results(node.users):
                continue
            number = of.get(node)
            for user in node.users:
                if of.get(user) == number:
                    continue
                changed = True
                if user in of:
                    del members[of.pop(user)][user]
                if number is not None:
                    members[number][user] = None
                    of[user] = number


def _gives_picked_results(users: Collection[Node]) -> bool:
    return all(each.op == "call_function" and each.target is operator.getitem for each in users)
