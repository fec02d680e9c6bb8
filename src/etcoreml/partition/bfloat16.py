"""bfloat16 programs: computed in float32, with casts where tensors enter and leave.

Core ML has no bfloat16. Every number of it is one of float32, so a program that computes in
float32 rounds less often and is otherwise the same; the delegate then computes in the precision
that the compile specs ask for. The casts stay outside of delegates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.fx import Graph, Node
from torch.utils import _pytree as pytree

_READS_BITS = (torch.ops.aten.view.dtype, torch.ops.aten._scaled_mm.default)
"""Ops that mean bfloat16 itself, not the number it holds."""

_NAMESPACES = frozenset(
    ("aten", "etcoreml", "prim", "prims", "quant", "quantized_decomposed", "torchao")
)
"""Whose ops compute in every floating dtype; a user's op may know bfloat16 only."""

_CASTS_BACK = (OutputKind.USER_OUTPUT, OutputKind.USER_INPUT_MUTATION)


def widen(program: ExportedProgram) -> bool:
    """Compute in float32 what a program computes in bfloat16, in place.

    Input graph::

        relu(x)  # bfloat16

    Output graph::

        _to_copy(relu(_to_copy(x, float32)), bfloat16)

    Args:
        program: A functional ATen program. Parameters, buffers and constants become float32; the
            dtypes of its inputs and outputs stay. Control flow over bfloat16, and ops that are not
            torch's own, leave it as it is.

    Returns:
        Whether anything was changed.
    """
    graph = program.graph
    narrow = {node for node in graph.nodes if _is_narrow(node)}
    if not narrow or any(_means_bits(node, narrow) for node in graph.nodes):
        return False
    results = graph.find_nodes(op="output")[0]
    returned = list(results.args[0])
    _widen_tensors(program, narrow)
    for node in graph.nodes:
        if node.op == "call_function":
            node.args = pytree.tree_map(_wide_dtype, node.args)
            node.kwargs = pytree.tree_map(_wide_dtype, node.kwargs)
        if node in narrow and not _is_user_input(program, node):
            node.meta["val"] = pytree.tree_map(_wide, node.meta["val"])
    for node in graph.find_nodes(op="placeholder"):
        if node in narrow and _is_user_input(program, node):
            with graph.inserting_after(node):
                _replace(node, _cast(graph, node, torch.float32), keep=results)
    _narrow_outputs(program, results, returned, narrow)
    return True


def _is_narrow(node: Node) -> bool:
    values = pytree.tree_leaves(node.meta.get("val"))
    return any(isinstance(each, Tensor) and each.dtype == torch.bfloat16 for each in values)


def _means_bits(node: Node, narrow: set[Node]) -> bool:
    if node not in narrow and narrow.isdisjoint(node.all_input_nodes):
        return False
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target in _READS_BITS or node.target.namespace not in _NAMESPACES
    return isinstance(node.target, torch._ops.HigherOrderOperator)


def _is_user_input(program: ExportedProgram, node: Node) -> bool:
    return node.name in program.graph_signature.user_inputs


def _wide(value: Any) -> Any:
    narrow = isinstance(value, Tensor) and value.dtype == torch.bfloat16
    return value.to(torch.float32) if narrow else value


def _wide_dtype(value: Any) -> Any:
    return torch.float32 if value is torch.bfloat16 else value


def _widen_tensors(program: ExportedProgram, narrow: set[Node]) -> None:
    """Convert the tensors a program holds; what shares one keeps sharing it."""
    made: dict[Tensor, Tensor] = {}

    def converted(tensor: Tensor) -> Tensor:
        if tensor not in made:
            made[tensor] = torch.nn.Parameter(tensor.detach().float(), requires_grad=False)
            if not isinstance(tensor, torch.nn.Parameter):
                made[tensor] = made[tensor].data
        return made[tensor]

    names = {node.name for node in narrow}
    state, constants = dict(program.state_dict), dict(program.constants)
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT or getattr(spec.arg, "name", None) not in names:
            continue
        held = state if spec.target in state else constants
        held[spec.target] = converted(held[spec.target])
    # New dicts: the caller's program may share the old ones.
    program._state_dict, program._constants = state, constants


def _cast(graph: Graph, node: Node, dtype: torch.dtype) -> Node:
    made = graph.call_function(torch.ops.aten._to_copy.default, (node,), {"dtype": dtype})
    made.meta["val"] = node.meta["val"].to(dtype)
    return made


def _replace(node: Node, new: Node, keep: Node) -> None:
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user not in (new, keep))


def _narrow_outputs(
    program: ExportedProgram, results: Node, returned: list[Any], narrow: set[Node]
) -> None:
    """Cast results back; an input that is returned is returned as it came."""
    specs = program.graph_signature.output_specs
    made: dict[Node, Node] = {}
    for index, (node, spec) in enumerate(zip(returned, specs, strict=True)):
        if node not in narrow or spec.kind not in _CASTS_BACK or _is_user_input(program, node):
            continue
        if node not in made:
            with results.graph.inserting_before(results):
                made[node] = _cast(results.graph, node, torch.bfloat16)
        returned[index] = made[node]
        spec.arg = TensorArgument(name=made[node].name)
    results.args = (tuple(returned),)
    results.meta["val"] = tuple(
        each.meta.get("val") if isinstance(each, Node) else each for each in returned
    )
