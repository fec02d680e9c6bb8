"""What crosses the borders of delegates, and what stands between them.

Oracle: graphs drawn by hand, with delegation tags.
"""

from __future__ import annotations

import torch
from torch.fx import Graph, Node

from etcoreml.partition.breaks import Break, borders, breaks, number_delegates


class Drawn:
    """A graph drawn node by node; every value is a float32 vector of three."""

    def __init__(self) -> None:
        self.graph = Graph()

    def input(self, name: str) -> Node:
        return self._made(self.graph.placeholder(name))

    def call(self, name: str, *inputs: Node, tag: str | None = None, size: bool = False) -> Node:
        node = self.graph.call_function(torch.relu, inputs, name=name)
        if tag is not None:
            node.meta["delegation_tag"] = tag
        if size:
            node.meta["val"] = 3
            return node
        return self._made(node)

    def _made(self, node: Node) -> Node:
        node.meta["val"] = torch.zeros(3)
        return node


def shown(gap: Break) -> tuple[object, ...]:
    leaving = [value.name for value in gap.leaving]
    entering = [value.name for value in gap.entering]
    return gap.before, gap.after, gap.nodes, leaving, entering, gap.nbytes, gap.calls


def test_delegates_are_numbered_in_graph_order() -> None:
    drawn = Drawn()
    x = drawn.input("x")
    a = drawn.call("a", x, tag="tag9")
    b = drawn.call("b", a)
    c = drawn.call("c", b, tag="tag0")
    d = drawn.call("d", a, tag="tag9")
    assert number_delegates(drawn.graph) == {a: 0, c: 1, d: 0}


def test_nodes_that_pass_tensors_are_one_break() -> None:
    drawn = Drawn()
    a = drawn.call("a", drawn.input("x"), tag="t0")
    b = drawn.call("b", a)
    c = drawn.call("c", b)
    drawn.call("d", c, tag="t1")
    (gap,) = breaks(drawn.graph, number_delegates(drawn.graph))
    assert shown(gap) == ((0,), (1,), ("b", "c"), ["a"], ["c"], 24, 1)


def test_values_are_counted_once_out_and_once_for_each_delegate_in() -> None:
    drawn = Drawn()
    a = drawn.call("a", drawn.input("x"), tag="t0")
    b = drawn.call("b", a, a)
    drawn.call("also", a, b)
    drawn.call("c", b, tag="t1")
    drawn.call("d", b, b, tag="t2")
    (gap,) = breaks(drawn.graph, number_delegates(drawn.graph))
    assert shown(gap) == ((0,), (1, 2), ("b", "also"), ["a"], ["b", "b"], 36, 2)


def test_separate_groups_are_separate_breaks() -> None:
    drawn = Drawn()
    a = drawn.call("a", drawn.input("x"), tag="t0")
    b, c = drawn.call("b", a), drawn.call("c", a)
    drawn.call("d", b, c, tag="t1")
    found = breaks(drawn.graph, number_delegates(drawn.graph))
    assert [shown(gap) for gap in found] == [
        ((0,), (1,), ("b",), ["a"], ["b"], 24, 1),
        ((0,), (1,), ("c",), ["a"], ["c"], 24, 1),
    ]


def test_values_may_go_straight_past_what_stands_between() -> None:
    drawn = Drawn()
    a = drawn.call("a", drawn.input("x"), tag="t0")
    b = drawn.call("b", a)
    drawn.call("c", a, b, tag="t1")
    found = breaks(drawn.graph, number_delegates(drawn.graph))
    assert [shown(gap) for gap in found] == [
        ((0,), (1,), ("b",), ["a"], ["b"], 24, 1),
        ((0,), (1,), (), ["a"], ["a"], 24, 1),
    ]


def test_what_is_before_or_after_all_delegates_breaks_nothing() -> None:
    drawn = Drawn()
    first = drawn.call("first", drawn.input("x"))
    a = drawn.call("a", first, tag="t0")
    drawn.call("last", a)
    assert breaks(drawn.graph, number_delegates(drawn.graph)) == []


def test_sizes_do_not_join_groups() -> None:
    drawn = Drawn()
    x = drawn.input("x")
    size = drawn.call("size", x, size=True)
    a = drawn.call("a", x, tag="t0")
    b = drawn.call("b", a, size)
    c = drawn.call("c", b, tag="t1")
    drawn.call("d", drawn.call("between", c, size), tag="t2")
    found = breaks(drawn.graph, number_delegates(drawn.graph))
    assert [gap.nodes for gap in found] == [("b",), ("between",)]


def test_borders() -> None:
    drawn = Drawn()
    x, weight, state = drawn.input("x"), drawn.input("weight"), drawn.input("state")
    state.meta["delegation_tag"] = "t0"
    a = drawn.call("a", x, weight, state, tag="t0")
    b = drawn.call("b", a, tag="t0")
    kept = drawn.call("kept", b, tag="t0")
    drawn.call("c", b, weight, x, tag="t1")
    drawn.graph.output((kept, a))
    inside = number_delegates(drawn.graph)
    found = borders(inside, {"weight"}, {"a"})
    names = {
        number: ([v.name for v in entering], [v.name for v in leaving], weights)
        for number, (entering, leaving, weights) in found.items()
    }
    # `kept` is returned to the state, and stays.
    assert names == {0: (["x"], ["a", "b"], 24), 1: (["b", "x"], [], 12)}
    without = borders(inside, (), {"a"})
    assert [value.name for value in without[1][0]] == ["b", "weight", "x"]


def test_a_chain_of_many_delegates() -> None:
    """Quadratic work would take minutes here."""
    drawn = Drawn()
    node = drawn.input("x")
    for i in range(30_000):
        node = drawn.call(f"n{i}", node, tag=None if i % 3 else f"t{i}")
    inside = number_delegates(drawn.graph)
    assert len(borders(inside, (), ())) == 10_000
    assert len(breaks(drawn.graph, inside)) == 9_999
