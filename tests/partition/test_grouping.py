"""Partitions of random graphs, and what they cost.

Oracle: torch's CapabilityBasedPartitioner, whose partitions these are.
"""

from __future__ import annotations

import operator
import random
import time

import pytest
import torch
from torch.fx import Graph, GraphModule, Node
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from etcoreml.partition.grouping import Partition, group


class Named(OperatorSupportBase):  # type: ignore[misc] # torch is untyped
    """Takes what is not named to stay outside."""

    def is_node_supported(self, submodules: object, node: Node) -> bool:
        return is_taken(node)


def is_taken(node: Node) -> bool:
    return node.op == "call_function" and not node.name.startswith("outside")


def grouped(graph: Graph) -> list[Partition]:
    return group(graph, {node for node in graph.nodes if not is_taken(node)})


def random_graph(seed: int) -> Graph:
    """Return a graph of 8 to 60 calls, some of which stay outside or have their results picked."""
    generator = random.Random(seed)
    graph = Graph()
    nodes = [graph.placeholder(f"x{index}") for index in range(generator.randint(1, 4))]
    reach, share = generator.choice([2, 5, 30]), generator.choice([0.1, 0.3, 0.6])
    for _ in range(generator.randint(8, 60)):
        near = nodes[-reach:] if generator.random() < 0.8 else nodes
        inputs = tuple(generator.choices(near, k=generator.randint(1, 3)))
        name = "outside" if generator.random() < share else "inside"
        node = graph.create_node("call_function", torch.add, inputs, name=name)
        nodes.append(node)
        if generator.random() < 0.1:
            picked = [graph.call_function(operator.getitem, (node, index)) for index in (0, 1)]
            nodes = [*(each for each in nodes if each is not node), *picked]
    unread = [node for node in nodes if not node.users]
    graph.output(tuple(unread))
    return graph


def torchs(graph: Graph) -> list[tuple[int, list[str]]]:
    partitioner = CapabilityBasedPartitioner(
        GraphModule(torch.nn.Module(), graph), Named(), allows_single_node_partition=True
    )
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    return [
        (each.id, sorted((node.name for node in each.nodes), key=order.__getitem__))
        for each in partitioner.propose_partitions()
    ]


def ours(graph: Graph) -> list[tuple[int, list[str]]]:
    return [(each.id, [node.name for node in each.nodes]) for each in grouped(graph)]


@pytest.mark.parametrize("seed", range(100))
def test_partitions_are_torchs(seed: int) -> None:
    graph = random_graph(seed)
    assert ours(graph) == torchs(graph)


@pytest.mark.parametrize("seed", range(100))
def test_no_partition_waits_for_itself(seed: int) -> None:
    graph = random_graph(seed)
    of = {node: index for index, each in enumerate(grouped(graph)) for node in each.nodes}
    assert of.keys() <= set(graph.nodes)
    edges: dict[object, set[object]] = {}
    for node in graph.nodes:
        here = of.get(node, node)
        edges.setdefault(here, set()).update(of.get(each, each) for each in node.all_input_nodes)
        edges[here].discard(here)
    while edges:
        ready = {unit for unit, needed in edges.items() if not needed}
        assert ready, "a cycle"
        edges = {unit: needed - ready for unit, needed in edges.items() if unit not in ready}


def test_an_empty_graph_has_none() -> None:
    graph = Graph()
    graph.output(())
    assert grouped(graph) == []


def test_the_time_grows_with_the_graph() -> None:
    def seconds(breaks: int) -> float:
        graph = Graph()
        node = graph.placeholder("x")
        for _ in range(breaks):
            for _ in range(19):
                node = graph.create_node("call_function", torch.add, (node, node), name="inside")
            node = graph.create_node("call_function", torch.add, (node, node), name="outside")
        graph.output(node)
        start = time.process_time()
        assert len(grouped(graph)) == breaks
        return time.process_time() - start

    # 4000 nodes in 200 partitions; torch takes over half a minute.
    assert seconds(200) < 10
