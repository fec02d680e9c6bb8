"""Ops on more dimensions than Core ML's tensors have, computed on fewer."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.fx import Graph, Node

from etcoreml.compiler.decompositions.calls import call
from etcoreml.compiler.decompositions.registry import MAX_RANK
from etcoreml.compiler.names import argument, op_name

_VIEWS = ("aten.view.default", "aten._unsafe_view.default", "aten.reshape.default")
_REDUCTIONS = ("aten.sum.dim_IntList", "aten.mean.dim", "aten.amax.default", "aten.amin.default")
_AIM = 4
"""The rank to come down to: what the Neural Engine has."""


def lower_ranks(graph: Graph) -> bool:
    """Merge axes that an elementwise op or a reduction need not tell apart, where it has too many.

    Input graph::

        view(mul(view(x, [1, 2, 2, 2, 3, 6]), 2.5), [4, 36])

    Output graph::

        view(mul(view(x, [8, 2, 3, 6]), 2.5), [4, 36])

    Args:
        graph: The graph of a functional ATen program; what is replaced stays in it, unused.

    Returns:
        Whether anything was changed.
    """
    changed = False
    for node in list(graph.nodes):
        if _ranks(node) > MAX_RANK:
            changed |= _merge(graph, node)
    if changed:
        for node in graph.nodes:
            if op_name(node) in _VIEWS:
                node.replace_input_with(node.args[0], _base(node.args[0]))
    return changed


def _ranks(node: Node) -> int:
    """Return the most dimensions of the operands of a node that can be rewritten, or 0."""
    op = node.target
    if not isinstance(op, torch._ops.OpOverload) or not isinstance(node.meta.get("val"), Tensor):
        return 0
    if torch.Tag.pointwise not in op.tags and op_name(node) not in _REDUCTIONS:
        return 0
    values = [each.meta.get("val") for each in node.all_input_nodes]
    if not values or not all(isinstance(each, Tensor) for each in values):
        return 0
    sizes = (size for each in values for size in each.shape)
    return max(each.dim() for each in values) if all(isinstance(s, int) for s in sizes) else 0


def _merge(graph: Graph, node: Node) -> bool:
    rank = _ranks(node)
    shapes = {
        each: [1] * (rank - each.meta["val"].dim()) + list(each.meta["val"].shape)
        for each in node.all_input_nodes
    }
    whole = [max(sizes, key=lambda s: s != 1) for sizes in zip(*shapes.values(), strict=True)]
    reduced = _reduced(node, rank)
    runs = [[axis] for axis in range(rank)]
    while len(runs) > _AIM:
        at = next(
            (i for i in range(len(runs) - 1) if _alike(runs, i, shapes, whole, reduced)), None
        )
        if at is None:
            break
        runs[at : at + 2] = [runs[at] + runs[at + 1]]
    if len(runs) > MAX_RANK:
        return False
    with graph.inserting_before(node):
        made = {each: _viewed(graph, each, shapes[each], runs) for each in shapes}
        kwargs = dict(node.kwargs)
        args = [made.get(each, each) if isinstance(each, Node) else each for each in node.args]
        if reduced is not None:
            args = [args[0], [i for i, run in enumerate(runs) if run[0] in reduced]]
        else:
            kwargs = {k: made.get(v, v) if isinstance(v, Node) else v for k, v in kwargs.items()}
        low = call(graph, node.target, *args, origin=node, **kwargs)
        shape = list(node.meta["val"].shape)
        back = call(graph, torch.ops.aten.view.default, low, shape, origin=node)
    back.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(back)
    return True


def _reduced(node: Node, rank: int) -> frozenset[int] | None:
    """Return the axes that a reduction takes away, or None for an elementwise op."""
    if op_name(node) not in _REDUCTIONS:
        return None
    axes = argument(node, "dim") or range(rank)
    return frozenset(axis % rank for axis in axes)


def _alike(
    runs: list[list[int]],
    at: int,
    shapes: dict[Node, list[int]],
    whole: list[int],
    reduced: frozenset[int] | None,
) -> bool:
    """Whether two neighbours can be one axis: each operand has both, or is spread over both."""
    axes = [*runs[at], *runs[at + 1]]
    if reduced is not None and len({axis in reduced for axis in axes}) > 1:
        return False
    return all(
        all(shape[axis] == whole[axis] for axis in axes) or all(shape[axis] == 1 for axis in axes)
        for shape in shapes.values()
    )


def _viewed(graph: Graph, node: Node, shape: list[int], runs: list[list[int]]) -> Node:
    """Return an operand with merged axes; a scalar tensor stays one."""
    if not node.meta["val"].dim():
        return node
    sizes = [math.prod(shape[axis] for axis in run) for run in runs]
    base = _base(node)
    if not base.meta["val"].is_contiguous():
        rows = torch.contiguous_format
        base = call(graph, torch.ops.aten.clone.default, base, origin=node, memory_format=rows)
    if list(base.meta["val"].shape) == sizes:
        return base
    return call(graph, torch.ops.aten.view.default, base, sizes, origin=node)


def _base(node: Node) -> Node:
    """Return what a view, or a view of a view, is of."""
    while op_name(node) in _VIEWS and node.args[0].meta["val"].is_contiguous():
        node = node.args[0]
    return node
