"""The delegates of a program, and where it breaks between them.

What enters is a graph with delegation tags; what leaves is what each delegate reads and writes,
and what stands between neighbours. Two delegates are neighbours when a value goes from one to the
other, directly or through nodes outside. Nodes outside that pass tensors to each other are one
break, however many: Core ML would have to take them all to join the delegates around them.
The cost is linear in the nodes and edges of the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from torch.fx import Graph, Node

from etcoreml.partition.cost import Value, values_of
from etcoreml.partition.node import results


@dataclass(frozen=True)
class Delegate:
    """One Core ML model inside a program.

    Attributes:
        index: Its number in the program, in graph order.
        nodes: Number of nodes, mutable buffers included.
        flops: Floating-point operations of its nodes, an estimate.
        weight_nbytes: Size of the constants it reads, as the program stores them.
        inputs: What enters it with every call.
        outputs: What leaves it with every call.
    """

    index: int
    nodes: int
    flops: int
    weight_nbytes: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True)
class Break:
    """What keeps delegates apart.

    Attributes:
        before: The delegates whose results go in, by index.
        after: The delegates that read what comes out.
        nodes: The nodes outside that stand between, in graph order. Empty where a value goes
            straight from one delegate to another: as one, they would wait for their own result.
        leaving: What leaves the delegates before, each value once.
        entering: What enters the delegates after, once for each that reads it.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    nodes: tuple[str, ...]
    leaving: tuple[Value, ...]
    entering: tuple[Value, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that cross a delegate's border for it in every call; unknown sizes count none."""
        return sum(value.nbytes or 0 for value in (*self.leaving, *self.entering))

    @property
    def calls(self) -> int:
        """Delegate calls that would be saved at most if it were closed, an estimate.

        Delegates may be kept apart by several breaks; then all of them have to go.
        """
        return len({*self.before, *self.after}) - 1


@dataclass
class _Gap:
    """A break while it is collected: dicts keep the order and drop repetitions."""

    nodes: list[str] = field(default_factory=list)
    leaving: dict[Node, int] = field(default_factory=dict)
    entering: dict[tuple[Node, int], None] = field(default_factory=dict)

    def finished(self) -> Break:
        return Break(
            tuple(sorted(set(self.leaving.values()))),
            tuple(sorted({delegate for _, delegate in self.entering})),
            tuple(self.nodes),
            tuple(value for node in self.leaving for value in values_of(node)),
            tuple(value for node, _ in self.entering for value in values_of(node)),
        )


def number_delegates(graph: Graph) -> dict[Node, int]:
    """Return the calls inside delegates, with the number of theirs: delegates in graph order."""
    numbers: dict[str, int] = {}
    return {
        node: numbers.setdefault(node.meta["delegation_tag"], len(numbers))
        for node in graph.nodes
        if node.op == "call_function" and "delegation_tag" in node.meta
    }


def borders(
    inside: dict[Node, int], constants: Collection[str], returned: Collection[str]
) -> dict[int, tuple[tuple[Value, ...], tuple[Value, ...], int]]:
    """Return the inputs, the outputs and the bytes of the constants of each delegate.

    Args:
        inside: What ``number_delegates`` returns.
        constants: Names of the placeholders whose values go into delegates.
        returned: Names of the results of the program, without those that stay in a delegate.
    """
    entering: dict[int, dict[Node, None]] = {number: {} for number in inside.values()}
    leaving: dict[int, dict[Node, None]] = {number: {} for number in inside.values()}
    kept: dict[int, dict[Node, None]] = {number: {} for number in inside.values()}
    for node, number in inside.items():
        for each in node.all_input_nodes:
            if inside.get(each) == number:
                continue
            # A buffer that became state has a tag; constants may have another delegate's.
            own = each.name in constants or each.op == "get_attr" or "delegation_tag" in each.meta
            (kept if own and each not in inside else entering)[number][each] = None
        if node.name in returned or any(
            inside.get(user) != number for user in node.users if user.op != "output"
        ):
            leaving[number][node] = None
    return {
        number: (
            tuple(value for node in entering[number] for value in values_of(node)),
            tuple(value for node in leaving[number] for value in values_of(node)),
            sum(value.nbytes or 0 for node in kept[number] for value in values_of(node)),
        )
        for number in entering
    }


def breaks(graph: Graph, inside: dict[Node, int]) -> list[Break]:
    """Return what stands between delegates, in graph order.

    Args:
        graph: The program.
        inside: What ``number_delegates`` returns.
    """
    heads = _groups(graph, inside)
    gaps: dict[object, _Gap] = {}
    for node in graph.nodes:
        if node in heads:
            gap = gaps.setdefault(heads[node], _Gap())
            gap.nodes.append(node.name)
            for each in _tensor_inputs(node):
                if each in inside:
                    gap.leaving[each] = inside[each]
        elif node in inside:
            for each in _tensor_inputs(node):
                if each in heads:
                    gaps[heads[each]].entering[each, inside[node]] = None
                elif each in inside and inside[each] != inside[node]:
                    straight = gaps.setdefault((inside[each], inside[node]), _Gap())
                    straight.leaving[each] = inside[each]
                    straight.entering[each, inside[node]] = None
    found = [gap.finished() for gap in gaps.values()]
    return [each for each in found if each.before and each.after and each.calls]


def _groups(graph: Graph, inside: dict[Node, int]) -> dict[Node, Node]:
    """Return the calls outside that make tensors, each with the head of its group."""
    heads: dict[Node, Node] = {}

    def head(node: Node) -> Node:
        while heads[node] is not node:
            heads[node] = heads[heads[node]]
            node = heads[node]
        return node

    for node in graph.nodes:
        if node.op == "call_function" and node not in inside and results(node):
            heads[node] = node
            for each in _tensor_inputs(node):
                if each in heads:
                    heads[head(each)] = head(node)
    return {node: head(node) for node in heads}


def _tensor_inputs(node: Node) -> Iterable[Node]:
    return (each for each in node.all_input_nodes if results(each))
