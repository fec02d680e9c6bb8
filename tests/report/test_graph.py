"""Graphs from a lowering's report and from files. Oracle: how the models were made."""

from __future__ import annotations

from pathlib import Path

from etcoreml.mil import load_package
from etcoreml.partition.cost import Value
from etcoreml.partition.report import Decision, DelegationReport
from etcoreml.report.graph import graph_of, lowered_nodes, method_nodes
from etcoreml.runtime.payload import open_payload
from etcoreml.runtime.pte import parse_pte


def value(name: str, *, constant: bool = False) -> Value:
    return Value(name, "float32", (2, 3), 24, constant=constant)


def decision(node: str, *inputs: Value, delegated: bool = True, **more: object) -> Decision:
    reason = None if delegated else "no converter"
    given = {"inputs": inputs, "outputs": (value(node),), "flops": 6, "nbytes": 48, **more}
    return Decision(0, node, f"aten.{node}.default", delegated, reason, **given)  # type: ignore[arg-type]


def test_a_lowered_graph() -> None:
    report = DelegationReport(
        [
            decision("norm", value("x"), value("weight", constant=True), module="layers.0"),
            decision("relu", value("getitem"), delegated=False),
            decision("size", value("y"), delegated=False, bookkeeping=True),
        ]
    )
    nodes = lowered_nodes(report, {"getitem": "norm"})
    assert [each.id for each in nodes] == ["x", "y", "norm", "relu", "size"]
    assert [each.kind for each in nodes] == ["input", "input", "core_ml", "outside", "bookkeeping"]
    assert nodes[2].inputs == ("x",)
    assert nodes[2].path == ("layers", "0")
    assert nodes[3].inputs == ("norm",)
    assert nodes[3].reason == "no converter"
    graph = graph_of("ATen", nodes, 1)
    assert (graph.total, graph.inside) == (3, 1)
    assert graph.flops_inside_share == 1 / 3


def test_a_program(acosh_path: Path) -> None:
    program = parse_pte(acosh_path.read_bytes())
    (method,) = program.methods
    functions = {}
    for i, delegate in enumerate(method.delegates):
        payload = open_payload(delegate.payload, program.named_data)
        assert payload.model is not None
        functions[i] = load_package(payload.model).function(payload.function)
    nodes = {each.id: each for each in method_nodes(method, functions)}
    (outside,) = (each for each in nodes.values() if each.kind == "outside")
    assert outside.op == "aten::acosh.out"
    (before,) = outside.inputs
    assert nodes[before].op == "add"
    assert nodes[before].path == ("delegate 0",)
    readers = [each for each in nodes.values() if outside.id in each.inputs]
    assert [each.path for each in readers] == [("delegate 1",)]
    # Every value read is of an input, or of a node before.
    seen: set[str] = set()
    for each in nodes.values():
        assert set(each.inputs) <= seen
        seen.add(each.id)
