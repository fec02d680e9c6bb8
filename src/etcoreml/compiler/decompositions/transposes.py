"""Transposes of more axes than Core ML's tensors have, in steps of fewer.

For sizes that vary, and for what coremltools does not recognise where none does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Graph, Node

from etcoreml.compiler.decompositions.calls import call
from etcoreml.compiler.decompositions.registry import MAX_RANK
from etcoreml.compiler.names import argument, op_name

_VIEWS = ("aten.view.default", "aten._unsafe_view.default")
_aten = torch.ops.aten


def merge_axes(graph: Graph) -> bool:
    """Merge the axes that need not be told apart between two views, where there are too many.

    What lies between is a transpose, whose result may be taken apart, or the largest along an axis.

    Input graph::

        view(permute(view(x, [n, 4, 2, 4, 2, 8]), [0, 1, 3, 2, 4, 5]), [4 * n, 4, 8])

    Output graph::

        view(clone(permute(view(x, [-1, 2, 4, 16]), [0, 2, 1, 3])), [4 * n, 4, 8])

    Args:
        graph: The graph of a functional ATen program; what is replaced stays in it, unused.

    Returns:
        Whether anything was changed.
    """
    changed = False
    for split in list(graph.nodes):
        if op_name(split) not in _VIEWS or split.meta["val"].dim() <= MAX_RANK:
            continue
        reader = _only_user(split)
        if reader is not None and op_name(reader) == "aten.max.dim":
            changed |= _reduce(graph, split, reader)
        elif reader is not None:
            changed |= _transpose(graph, split, reader)
    return changed


@dataclass(frozen=True)
class _Step:
    """A transpose of blocks of axes: which there are, in order, and where each comes from."""

    blocks: list[list[int]]
    order: list[int]


def _steps(order: list[int]) -> list[_Step]:
    """Return transposes of few blocks that make up one of many axes.

    One does where enough axes stay side by side. Otherwise each moves a block to its place, past
    the block before it.
    """
    runs = [[order[0]]]
    for before, axis in itertools.pairwise(order):
        runs.append([axis]) if axis != before + 1 else runs[-1].append(axis)
    if len(runs) <= MAX_RANK:
        blocks = sorted(runs)
        return [_Step(blocks, [blocks.index(run) for run in runs])]
    steps, now = [], list(range(len(order)))
    for place, axis in enumerate(order):
        start = now.index(axis)
        if start == place:
            continue
        stop = start + 1
        while stop < len(now) and now[stop] == order[place + stop - start]:
            stop += 1
        parts = now[:place], now[place:start], now[start:stop], now[stop:]
        blocks = [part for part in parts if part]
        moved = [part for part in (parts[0], parts[2], parts[1], parts[3]) if part]
        steps.append(_Step(blocks, [blocks.index(part) for part in moved]))
        now = [each for part in moved for each in part]
    return steps


def _transpose(graph: Graph, split: Node, transpose: Node) -> bool:
    sizes = split.meta["val"].shape
    order = _order(transpose, len(sizes))
    if order is None:
        return False
    last, users = transpose, list(transpose.users)
    while len(users) == 1 and op_name(users[0]) == "aten.clone.default":
        last, users = users[0], list(users[0].users)
    joins = all(_joins(each) for each in users)
    picks = all(_picks(each) for each in users)
    steps = _steps(order)
    shapes = [_merged(sizes, step.blocks) for step in steps]
    if not users or not (joins or picks) or any(shape is None for shape in shapes):
        return False
    if joins and len(users) == 1 and all(isinstance(size, int) for size in sizes):
        return False  # coremltools does it
    with graph.inserting_before(transpose):
        rows: dict[str, Any] = {"memory_format": torch.contiguous_format, "origin": transpose}
        value = call(graph, _aten.clone.default, split.all_input_nodes[0], **rows)
        for step, shape in zip(steps, shapes, strict=True):
            value = call(graph, _aten.view.default, value, shape, origin=transpose)
            value = call(graph, _aten.permute.default, value, step.order, origin=transpose)
            value = call(graph, _aten.clone.default, value, **rows)
    for user in users:
        if joins:
            user.replace_input_with(last, value)
        else:
            _pick(graph, user, value)
    return True


def _joins(node: Node) -> bool:
    return op_name(node) in _VIEWS and node.meta["val"].dim() <= MAX_RANK


def _picks(node: Node) -> bool:
    """Whether a node takes single indices of an axis, which leaves few enough others."""
    if op_name(node) not in ("aten.unbind.int", "aten.select.int"):
        return False
    operand = node.all_input_nodes[0].meta["val"]
    axis, index = argument(node, "dim"), 0 if op_name(node) == "aten.unbind.int" else node.args[2]
    fixed = isinstance(operand.shape[axis], int) and isinstance(index, int)
    return fixed and _around(operand.shape, axis) is not None and operand.dim() - 1 <= MAX_RANK


def _pick(graph: Graph, node: Node, value: Node) -> None:
    """Take indices of an axis of merged ones."""
    operand = node.all_input_nodes[0].meta["val"]
    axis = argument(node, "dim") % operand.dim()
    shape = _around(operand.shape, axis)
    with graph.inserting_before(node):
        wide = call(graph, _aten.view.default, value, shape, origin=node)
        if op_name(node) == "aten.select.int":
            wanted = [(node, node.args[2])]
        else:
            wanted = [(user, user.args[1]) for user in node.users]
        for old, index in wanted:
            part = call(graph, _aten.select.int, wide, 1, index, origin=old)
            _replace(graph, old, part)


def _reduce(graph: Graph, split: Node, node: Node) -> bool:
    """Find the largest along an axis of merged ones."""
    sizes = split.meta["val"].shape
    axis = argument(node, "dim") % len(sizes)
    shape, keeps = _around(sizes, axis), argument(node, "keepdim")
    if shape is None or keeps or len(sizes) - 1 > MAX_RANK:
        return False
    with graph.inserting_before(node):
        rows = torch.contiguous_format
        source = split.all_input_nodes[0]
        value = call(graph, _aten.clone.default, source, origin=split, memory_format=rows)
        value = call(graph, _aten.view.default, value, shape, origin=split)
        low = call(graph, node.target, value, 1, origin=node)
    for user in list(node.users):
        with graph.inserting_before(user):
            part = graph.call_function(user.target, (low, user.args[1]))
            part.meta = dict(user.meta) | {"val": low.meta["val"][user.args[1]]}
            _replace(graph, user, part)
    return True


def _replace(graph: Graph, old: Node, part: Node) -> None:
    """Put a value with merged axes in the place of one with all."""
    shape = _known(old.meta["val"].shape)
    back = call(graph, _aten.view.default, part, shape, origin=old)
    back.meta["val"] = old.meta["val"]
    old.replace_all_uses_with(back)


def _around(sizes: Sequence[Any], axis: int) -> list[int] | None:
    """Return the shape with an axis and what is before and after it, or None if two vary."""
    axes = list(range(len(sizes)))
    axis %= len(sizes)
    return _merged(sizes, [axes[:axis], [axis], axes[axis + 1 :]])


def _merged(sizes: Sequence[Any], blocks: list[list[int]]) -> list[int] | None:
    """Return the shape of blocks of axes, with -1 for what varies, or None if two do."""
    shape = _known([math.prod(sizes[axis] for axis in block) for block in blocks])
    return shape if shape.count(-1) <= 1 else None


def _known(sizes: Sequence[Any]) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in sizes]


def _order(node: Node, rank: int) -> list[int] | None:
    """Return which axis of its operand each axis of a transpose is, or None for another node."""
    if op_name(node) == "aten.permute.default":
        return [axis % rank for axis in node.args[1]]
    if op_name(node) != "aten.transpose.int":
        return None
    order = list(range(rank))
    first, second = (axis % rank for axis in node.args[1:])
    order[first], order[second] = second, first
    return order


def _only_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
