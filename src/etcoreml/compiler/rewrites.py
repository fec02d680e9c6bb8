"""Rewrites of a partition before coremltools converts it."""

from __future__ import annotations

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Graph, Node

from etcoreml.compiler.decompositions import CASTS, NARROW, is_filled_in_range
from etcoreml.compiler.names import op_name

# Converters that count arguments, where torch.export leaves trailing defaults out. coremltools 9.0.
_COUNTED = frozenset(
    {
        "aten::max_pool1d",
        "aten::max_pool2d",
        "aten::max_pool3d",
        "aten::max_pool2d_with_indices",
        "aten::max_pool3d_with_indices",
    }
)


def fill_defaults(program: ExportedProgram) -> None:
    """Write out the default arguments that torch.export left out, in place.

    Input graph::

        max_pool2d(x, [2, 2])

    Output graph::

        max_pool2d(x, [2, 2], [], [0, 0], [1, 1], False)

    Args:
        program: A partition; only ops whose converter counts arguments are changed.
    """
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.name in _COUNTED:
            missing = schema.arguments[len(node.args) :]
            node.args = (*node.args, *(each.default_value for each in missing))


def store_as_int32(program: ExportedProgram) -> None:
    """Take in and make int32 where a program says integers of fewer bits, in place.

    Core ML's models have int32 only. The values are in range wherever they are read
    (``decompositions.narrow``), and the runtime converts what enters and leaves.

    Args:
        program: A partition; the dtypes of its constants stay.
    """
    taken = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in taken:
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor) and value.dtype in NARROW:
                node.meta["val"] = value.to(torch.int32)
        elif op_name(node) in CASTS and node.kwargs.get("dtype") in NARROW:
            source = node.all_input_nodes[0]
            if source.op != "placeholder" or source.name in taken:
                node.kwargs = {**node.kwargs, "dtype": torch.int32}
        elif is_filled_in_range(node):
            node.kwargs = {**node.kwargs, "dtype": torch.int32}


def tell_constants_apart(program: ExportedProgram) -> None:
    """Give constants with the same name names of their own, in place.

    ExecuTorch repeats a constant for each node that reads it where some of these are in other
    partitions, all under one name; torch then fails to find the second in a delegate.

    Args:
        program: A partition; its tensors stay.
    """
    signature = program.graph_signature
    taken = set()
    for spec in signature.input_specs:
        if spec.kind != InputKind.CONSTANT_TENSOR:
            continue
        if spec.target in taken:
            program.constants[spec.arg.name] = program.constants[spec.target]
            spec.target = spec.arg.name
        taken.add(spec.target)


def exchange_as_float32(program: ExportedProgram) -> None:
    """Take in and give float32 where a program says float16, in place.

    For systems before iOS16, whose models compute float16 and exchange none; the runtime converts.

    Input graph::

        relu(x)  # float16

    Output graph::

        _to_copy(relu(_to_copy(x, float16)), float32)

    Args:
        program: A partition.
    """
    graph = program.graph
    taken = set(program.graph_signature.user_inputs)
    for node in graph.find_nodes(op="placeholder"):
        if node.name in taken and _is_half(node):
            half = node.meta["val"]
            node.meta["val"] = half.to(torch.float32)
            with graph.inserting_after(node):
                made = _cast(graph, node, torch.float16, half)
            node.replace_all_uses_with(
                made, delete_user_cb=lambda user, made=made: user is not made
            )
    results = graph.find_nodes(op="output")[0]
    for node in dict.fromkeys(results.all_input_nodes):
        if _is_half(node):
            with graph.inserting_before(results):
                made = _cast(graph, node, torch.float32, node.meta["val"].to(torch.float32))
            results.replace_input_with(node, made)
            made.name, node.name = node.name, made.name  # signatures go by names


def _is_half(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.dtype == torch.float16


def _cast(graph: Graph, node: Node, dtype: torch.dtype, value: torch.Tensor) -> Node:
    made = graph.call_function(torch.ops.aten._to_copy.default, (node,), {"dtype": dtype})
    made.meta = dict(node.meta) | {"val": value}
    return made
