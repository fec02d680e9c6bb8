"""Ops that ExecuTorch's edge dialect refuses: rewritten where possible, else let through.

ExecuTorch checks that an edge program holds ops of ATen's core opset only, and raises for every
other op that it has no decomposition for. Where we have one, it is put in place before that check.
Other such ops are named to ExecuTorch as ops to keep, which it does not check; the report says
that a kernel is needed to run them.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from executorch.exir.program._program import _default_decomposition_table
from executorch.exir.verification.verifier import EXIRATenDialectVerifier, SpecViolationError
from torch._decomp import decomposition_table
from torch._export.utils import _is_preservable_cia_op
from torch.export import ExportedProgram
from torch.fx import Node
from torch.utils import _pytree as pytree

from etcoreml.compiler.decompositions import (
    expand,
    expansion,
    find,
    has_varying_parts,
    join_complex,
    lower_ranks,
    merge_axes,
)
from etcoreml.compiler.names import op_name
from etcoreml.errors import LowerError
from etcoreml.partition.bfloat16 import widen
from etcoreml.partition.node import is_static
from etcoreml.partition.numbers import give_dtypes


def make_acceptable(program: ExportedProgram) -> None:
    """Rewrite a program, in place, so that ExecuTorch takes it.

    Nodes that are refused, or of which ExecuTorch would fix a size, are decomposed where we can.
    Another refused one gets a twin op in our namespace, unless
    ExecuTorch can keep it (``refused_ops``). What is bfloat16 is computed in float32, and numbers
    get the dtype that PyTorch computes them in.
    Results are returned in plain tuples: ExecuTorch cannot store ``torch.return_types``. Tensors
    are stored row by row, which changes no value: neither Core ML nor most of ExecuTorch's kernels
    mix memory formats.

    Args:
        program: A functional ATen program.

    Raises:
        LowerError: A node can be neither kept nor taken apart.
    """
    changed = widen(program)
    changed |= lower_ranks(program.graph)
    changed |= merge_axes(program.graph)
    changed |= _take_in_rows(program)
    if expand(program.graph, _needs_rewrite):
        join_complex(program.graph)
        changed = True
    changed |= give_dtypes(program)
    for node in list(program.graph.nodes):
        if op_name(node) == "aten._linalg_check_errors.default":
            program.graph.erase_node(node)  # raises for singular matrices; no kernel does
            changed = True
            continue
        if node.kwargs.get("memory_format") in _FORMATS:
            node.kwargs = {**node.kwargs, "memory_format": torch.contiguous_format}
            node.meta["val"] = node.meta["val"].contiguous()
            changed = True
        if is_refused(node) and _needs_twin(node.target):
            node.target = _twin(node.target)
            changed = True
    if changed:
        program.graph.eliminate_dead_code()
        program.graph_module.recompile()
    signature = program.module_call_graph[0].signature
    if signature is not None:
        signature.out_spec = _with_plain_tuples(signature.out_spec)


def forget_pending_sizes(program: ExportedProgram) -> None:
    """Let sizes that depend on data, left over from an earlier lowering, not fail this one.

    An op whose result has such a size is asked for it wherever torch or ExecuTorch run the program
    on fake tensors. What is not claimed there is missed by the next to run it.
    """
    for node in program.graph.nodes:
        mode = getattr(node.meta.get("val"), "fake_mode", None)
        if mode is not None and mode.shape_env is not None:
            mode.shape_env.pending_fresh_unbacked_symbols.clear()
            return


def _take_in_rows(program: ExportedProgram) -> bool:
    """Copy inputs that are stored in another order: delegates take tensors row by row.

    Returns:
        Whether anything was changed.
    """
    user_inputs = set(program.graph_signature.user_inputs)
    changed = False
    for node in program.graph.find_nodes(op="placeholder"):
        value = node.meta.get("val")
        if node.name not in user_inputs or not isinstance(value, torch.Tensor):
            continue
        if tuple(value.dim_order()) == tuple(range(value.dim())):
            continue
        with program.graph.inserting_after(node):
            rows = program.graph.call_function(
                torch.ops.aten.clone.default, (node,), {"memory_format": torch.contiguous_format}
            )
        rows.meta["val"] = value.contiguous()
        node.replace_all_uses_with(
            rows, delete_user_cb=lambda user, rows=rows: user is not rows and user.op != "output"
        )
        changed = True
    return changed


_FORMATS = (torch.channels_last, torch.channels_last_3d)


def refused_ops(program: ExportedProgram) -> list[torch._ops.OpOverload]:
    """Return the ops of a program that the edge dialect refuses, each once."""
    ops = dict.fromkeys(node.target for node in program.graph.nodes if is_refused(node))
    return list(ops)


def is_refused(node: Node) -> bool:
    """Whether ExecuTorch raises for a node of an ATen program."""
    return isinstance(node.target, torch._ops.OpOverload) and _is_refused(node.target)


@functools.cache
def _is_refused(op: torch._ops.OpOverload) -> bool:
    if op.is_view or op._schema.is_mutable or not op._schema.returns or _is_taken_apart(op):
        return False
    try:
        EXIRATenDialectVerifier().check_valid_op(op)
    except SpecViolationError:
        return True
    return False


def _is_taken_apart(op: torch._ops.OpOverload) -> bool:
    """Whether ExecuTorch decomposes an op itself."""
    table = _decompositions()
    # To read the table as a dict collects the ops of every namespace, which takes longer than to
    # lower a small network. It holds those of ATen from the beginning.
    if op in getattr(table, "decomp_table", table):
        return True
    kept = getattr(table, "deleted_custom_ops", ())
    return op.namespace != "aten" and op not in kept and _is_preservable_cia_op(op)


@functools.cache
def _decompositions() -> dict[torch._ops.OpOverload, Any]:
    table: dict[torch._ops.OpOverload, Any] = _default_decomposition_table()
    return table


def _needs_rewrite(node: Node) -> bool:
    if _divides_sizes(node):
        return True
    if is_refused(node) or _is_complex(node) or _hides_refused(node):
        return True
    return _is_spoilt(node)


_SPOILT = (
    *("aten.empty_like.default", "aten.pad.default"),
    *("aten.cat.default", "aten.stack.default"),
)


def _is_spoilt(node: Node) -> bool:
    """Whether ExecuTorch would fix a size of what we can rewrite, or make of it what it refuses."""
    return (has_varying_parts(node) or op_name(node) in _SPOILT) and find(node) is not None


def _hides_refused(node: Node) -> bool:
    """Whether PyTorch composes an op of others, some of which are refused or spoilt."""
    if not (isinstance(node.target, torch._ops.OpOverload) and _is_composite(node.target)):
        return False
    traced = expansion(node)
    # What ExecuTorch takes apart in another way itself is its business, unless we have the part.
    own = node.target not in decomposition_table
    parts = traced.graph.nodes if traced is not None else ()
    return any(
        _is_spoilt(each) or (is_refused(each) and (own or find(each) is not None)) for each in parts
    )


@functools.cache
def _is_composite(op: torch._ops.OpOverload) -> bool:
    key = "CompositeImplicitAutograd"
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), key))


def _is_complex(node: Node) -> bool:
    """Whether a node reads or makes complex numbers, which no kernel and no delegate takes."""
    values = (node.meta.get("val"), *(each.meta.get("val") for each in node.all_input_nodes))
    return any(isinstance(each, torch.Tensor) and each.dtype.is_complex for each in values)


_SIZE_DIVIDERS = (
    *(f"aten.upsample_bicubic2d.{each}" for each in ("vec", "default")),
    *(
        f"aten.{name}.{each}"
        for name in ("quantile", "nanquantile")
        for each in ("default", "scalar")
    ),
)
"""Ops that torch takes apart into fractions of sizes."""


def _divides_sizes(node: Node) -> bool:
    """Whether torch takes a node apart into fractions of sizes, on which ExecuTorch fails.

    Raises:
        LowerError: It does, and we cannot rewrite the node.
    """
    if op_name(node) not in _SIZE_DIVIDERS:
        return False
    values = (each.meta.get("val") for each in node.all_input_nodes)
    if all(is_static(each.shape) for each in values if isinstance(each, torch.Tensor)):
        return False
    own = find(node)
    if own is None or own.function is node.target:
        what = f"lowering: ExecuTorch cannot take {op_name(node)} apart where sizes vary"
        hint = "Export it with fixed sizes, or use a scale factor such as 0.5, 1.25 or 2."
        raise LowerError(what, hint=hint)
    return True


def _needs_twin(op: torch._ops.OpOverload) -> bool:
    """Whether ExecuTorch cannot keep an op: several results, or sizes that depend on data."""
    return len(op._schema.returns) > 1 or torch.Tag.dynamic_output_shape in op.tags


_LIBRARY = torch.library.Library("etcoreml", "FRAGMENT")


@functools.cache
def _twin(op: torch._ops.OpOverload) -> torch._ops.OpOverload:
    """Return an op of our namespace that does what ``op`` does, and has an out variant."""
    packet = op.overloadpacket
    overloads = [getattr(packet, name) for name in packet.overloads()]
    for overload in (op, *filter(_is_out_variant, overloads)):
        _define(overload)
    namespace = torch.ops.etcoreml
    name = op._schema.name.partition("::")[2]
    twin: torch._ops.OpOverload = getattr(getattr(namespace, name), op._overloadname)
    return twin


@functools.cache
def _define(overload: torch._ops.OpOverload) -> None:
    """Define an overload in our namespace; two of an op may share their out variant."""
    schema = str(overload._schema).partition("::")[2]
    _LIBRARY.define(schema)
    name = schema.partition("(")[0]
    _LIBRARY.impl(name, overload, "CompositeExplicitAutograd")
    torch.library.register_fake(f"etcoreml::{name}", overload, lib=_LIBRARY)


def _is_out_variant(op: torch._ops.OpOverload) -> bool:
    return any(each.is_out for each in op._schema.arguments)


def _with_plain_tuples(spec: pytree.TreeSpec) -> pytree.TreeSpec:
    """Return the structure of a result with tuples in place of ``torch.return_types``."""
    kinds = {each for each in vars(torch.return_types).values() if isinstance(each, type)}

    def plain(value: Any) -> Any:
        return tuple(pytree.tree_map(plain, list(value))) if type(value) in kinds else value

    tree = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    found = pytree.tree_map(plain, tree, is_leaf=lambda value: type(value) in kinds)
    return pytree.tree_structure(found)
