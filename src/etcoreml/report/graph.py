"""The graph of a model: from the report of a lowering, or from what a file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from etcoreml.mil.program import Function, Operation, TensorType
from etcoreml.partition.report import Decision, DelegationReport
from etcoreml.report.document import Graph, Node
from etcoreml.runtime.pte import PteMethod


def lowered_nodes(report: DelegationReport, parts: Mapping[str, str]) -> list[Node]:
    """Return the ATen nodes that a partitioner decided about, with its reasons.

    Args:
        report: Of a single program.
        parts: For what stands for one of several results of a node, that node.
    """
    inputs: dict[str, Node] = {}
    nodes: dict[str, Node] = {}
    for each in report:
        reads = []
        for value in each.inputs:
            name = parts.get(value.name, value.name)
            if value.constant:
                continue
            reads.append(name)
            if name not in nodes:
                text = _text(value.dtype, value.shape)
                inputs[name] = Node(name, "input", (), "input", value=text)
        nodes[each.node] = _decided(each, tuple(dict.fromkeys(reads)))
    return [*inputs.values(), *nodes.values()]


def _decided(each: Decision, reads: tuple[str, ...]) -> Node:
    outside = "bookkeeping" if each.bookkeeping else "outside"
    first = each.outputs[0] if each.outputs else None
    return Node(
        id=each.node,
        op=each.op,
        path=tuple(each.module.split(".")) if each.module else (),
        kind="core_ml" if each.delegated else outside,
        inputs=reads,
        value="" if first is None else _text(first.dtype, first.shape),
        delegate=each.delegate,
        reason=each.reason,
        advice=each.advice,
        source="" if each.source is None else str(each.source),
        flops=each.flops,
        nbytes=each.nbytes,
    )


def function_nodes(
    function: Function,
    *,
    delegate: int | None = None,
    path: tuple[str, ...] = (),
    inputs: Sequence[Node] | None = None,
) -> list[Node]:
    """Return the MIL operations of a function.

    Args:
        function: Its values' names are unique.
        delegate: The delegate that it is.
        path: What the operations are in; the names of nodes have it too.
        inputs: What its inputs are, in order; None makes a node for each.
    """
    prefix = "".join(f"{each}/" for each in path)
    names: dict[str, str] = {}
    nodes: list[Node] = []
    if inputs is None:
        nodes = [
            Node(each.name, "input", (), "input", value=_type_text(each.type))
            for each in function.inputs
        ]
        inputs = nodes
    names.update(
        (value.name, node.id) for value, node in zip(function.inputs, inputs, strict=False)
    )
    for operation in function.block.operations:
        if operation.type == "const" or not operation.outputs:
            continue
        node = Node(
            id=prefix + operation.outputs[0].name,
            op=operation.type,
            path=path,
            kind="core_ml",
            inputs=tuple(dict.fromkeys(names[each] for each in _reads(operation) if each in names)),
            value=_type_text(operation.outputs[0].type),
            delegate=delegate,
        )
        names.update((out.name, node.id) for out in operation.outputs)
        nodes.append(node)
    return nodes


def _reads(operation: Operation) -> Iterable[str]:
    """Yield the names of what an operation reads, in nested blocks too."""
    for operands in operation.inputs.values():
        yield from (each for each in operands if isinstance(each, str))
    for block in operation.blocks:
        for inner in block.walk():
            for operands in inner.inputs.values():
                yield from (each for each in operands if isinstance(each, str))


def method_nodes(method: PteMethod, functions: Mapping[int, Function]) -> list[Node]:
    """Return the calls of a method; a Core ML delegate is its MIL operations.

    Args:
        method: As the file has it.
        functions: Of the Core ML delegates, by number.
    """
    nodes = [
        Node(
            f"input {i}", "input", (), "input", value=_text(value.dtype or value.kind, value.shape)
        )
        for i, value in enumerate(method.inputs)
    ]
    makers = {number: nodes[i] for i, number in enumerate(method.input_values)}
    for i, call in enumerate(method.calls):
        reads = [makers[each] for each in call.reads if each in makers]
        function = None if call.delegate is None else functions.get(call.delegate)
        if function is not None:
            path = (f"delegate {call.delegate}",)
            made = function_nodes(function, delegate=call.delegate, path=path, inputs=reads)
            by_name = {node.id: node for node in made}
            last = made[-1] if made else None
            for number, name in zip(call.writes, function.block.outputs, strict=False):
                maker = by_name.get(f"{path[0]}/{name}", last)
                if maker is not None:
                    makers[number] = maker
            nodes += made
            continue
        backend = None if call.delegate is None else method.delegates[call.delegate].backend_id
        node = Node(
            id=f"call {i}",
            op=backend or call.operator or "",
            path=(),
            kind="other" if backend else "outside",
            inputs=tuple(dict.fromkeys(each.id for each in reads)),
        )
        nodes.append(node)
        makers.update((number, node) for number in call.writes)
    return nodes


def graph_of(level: str, nodes: Sequence[Node], delegates: int | None) -> Graph:
    """Return the graph with what is counted of it.

    Args:
        level: ``ATen`` or ``MIL``.
        nodes: In order of execution.
        delegates: Number of Core ML delegates; None for a Core ML model.
    """
    counted = [each for each in nodes if each.kind != "input"]
    inside = [each for each in counted if each.kind == "core_ml"]
    flops = sum(each.flops or 0 for each in counted)
    known = level == "ATen" and flops > 0
    return Graph(
        level=level,
        nodes=tuple(nodes),
        total=len(counted),
        inside=len(inside),
        delegates=delegates,
        flops_inside_share=sum(each.flops or 0 for each in inside) / flops if known else None,
    )


def short_source(line: str) -> str:
    """Return ``file:line`` without folders that are of one machine alone.

    >>> short_source("/home/me/venv/lib/python3.11/site-packages/timm/layers/conv.py:12")
    'timm/layers/conv.py:12'
    >>> short_source("/home/me/model.py:3")
    'model.py:3'
    """
    for folder in ("/site-packages/", "/dist-packages/"):
        if folder in line:
            return line.rpartition(folder)[2]
    here = f"{Path.cwd()}/"
    return line.removeprefix(here) if line.startswith(here) else Path(line).name


def _text(dtype: Any, shape: Sequence[Any]) -> str:
    return f"{dtype} ({', '.join(map(str, shape))})"


def _type_text(type_: Any) -> str:
    if isinstance(type_, TensorType) and type_.shape is not None:
        return _text(type_.dtype, ["?" if size is None else size for size in type_.shape])
    return str(type_)
