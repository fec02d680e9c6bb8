"""MIL family ``scatter_gather``.

Negative indices count from the end in every op. ``validate_indices`` asks Core ML to check that
indices are in range; out of range they are undefined here either way.

Source: coremltools 9.0 ``scatter_gather.py`` of iOS15, iOS16 and iOS17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates

_REDUCTIONS = {
    "update": "none",
    "add": "sum",
    "sub": "sum",
    "mul": "prod",
    "div": "prod",
    "max": "max",
    "min": "min",
}


@translates("gather", spec="iOS15.gather, iOS16.gather, iOS17.gather")
def gather(
    x: Output,
    indices: Output,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Any:
    """Take slices of ``x`` along ``axis``.

    Args:
        x: ``(*D)`` of any dtype.
        indices: ``(*N)`` integers.
        axis: Dimension of ``x`` that the indices address.
        batch_dims: Leading dimensions that ``x`` and ``indices`` share.
        validate_indices: See the module.

    Returns:
        ``D[:axis] + N[batch_dims:] + D[axis + 1:]``.
    """
    position = graph.axis_of(axis, graph.rank(x))
    if batch_dims and position == batch_dims:
        # OpenVINO 2026.4 crashes in the kernel of a small batched Gather of static shape.
        numbers = graph.unsqueeze(indices, graph.rank(indices))
        return op.gather_nd(x, _coordinates(x, numbers, batch_dims), batch_dims)
    return op.gather(x, indices, graph.integer(position), batch_dims)


@translates(
    "gather_along_axis",
    spec="iOS15.gather_along_axis, iOS16.gather_along_axis, iOS17.gather_along_axis",
)
def gather_along_axis(
    x: Output, indices: Output, axis: int = 0, validate_indices: bool = False
) -> Any:
    """Take ``x[.., indices[p], ..]`` at each position ``p``; the shape is that of ``indices``."""
    position = graph.axis_of(axis, graph.rank(x))
    return op.gather_elements(x, _from_front(indices, graph.size_of(x, position)), position)


@translates("gather_nd", spec="iOS15.gather_nd, iOS16.gather_nd, iOS17.gather_nd")
def gather_nd(
    x: Output, indices: Output, batch_dims: int = 0, validate_indices: bool = False
) -> Any:
    """Take the slices of ``x`` whose leading coordinates are the last dimension of ``indices``."""
    return op.gather_nd(x, _coordinates(x, indices, batch_dims), batch_dims)


@translates("scatter", spec="iOS15.scatter, iOS17.scatter")
def scatter(
    data: Output,
    indices: Output,
    updates: Output,
    context: Context,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Any:
    """Combine slices ``updates`` into ``data`` at ``indices`` (``(C,)``) along ``axis``.

    Args:
        data: ``(*D)``.
        indices: ``(C,)`` integers.
        updates: ``D[:axis] + (C,) + D[axis + 1:]``.
        context: The translation.
        axis: Dimension of ``data`` that the indices address.
        mode: ``update``, ``add``, ``sub``, ``mul``, ``div``, ``max`` or ``min``.
        validate_indices: See the module.
    """
    rank = graph.rank(data)
    position = graph.axis_of(axis, rank)
    shape = [-1 if i == position else 1 for i in range(rank)]
    positions = op.broadcast(graph.reshape(indices, shape), graph.shape_of(updates)).output(0)
    return scatter_along_axis(data, positions, updates, context, position, mode)


@translates("scatter_along_axis", spec="iOS15.scatter_along_axis, iOS17.scatter_along_axis")
def scatter_along_axis(
    data: Output,
    indices: Output,
    updates: Output,
    context: Context,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Any:
    """Combine each element of ``updates`` into ``data`` at ``indices`` along ``axis``.

    Args:
        data: ``(*D)``.
        indices: Integers of the rank of ``data``.
        updates: Of the shape of ``indices``.
        context: The translation.
        axis: Dimension of ``data`` that the indices address.
        mode: ``update``, ``add``, ``sub``, ``mul``, ``div``, ``max`` or ``min``.
        validate_indices: See the module.
    """
    position = graph.axis_of(axis, graph.rank(data))
    positions = _from_front(indices, graph.size_of(data, position))

    def build(target: Output, values: Output, reduction: str) -> Any:
        return op.scatter_elements_update(
            target, positions, values, graph.integer(position), reduction
        )

    return _combined(data, updates, mode, context, build)


@translates("scatter_nd", spec="iOS15.scatter_nd, iOS17.scatter_nd")
def scatter_nd(
    data: Output,
    indices: Output,
    updates: Output,
    context: Context,
    mode: str = "add",
    validate_indices: bool = False,
) -> Any:
    """Combine slices ``updates`` into ``data`` at the coordinates in ``indices``.

    Args:
        data: ``(*D)``.
        indices: ``(*K, n)`` integers: coordinates in the first n dimensions of ``data``.
        updates: ``K + D[n:]``.
        context: The translation.
        mode: ``update``, ``add``, ``sub``, ``mul``, ``div``, ``max`` or ``min``.
        validate_indices: See the module.
    """
    positions = _coordinates(data, indices, 0)

    def build(target: Output, values: Output, reduction: str) -> Any:
        return op.scatter_nd_update(target, positions, values, reduction)

    return _combined(data, updates, mode, context, build)


def _combined(
    data: Output,
    updates: Output,
    mode: str,
    context: Context,
    build: Callable[[Output, Output, str], Any],
) -> Any:
    """Scatter by ``mode``; subtraction and division, which OpenVINO lacks, by their inverses."""
    reduction = _REDUCTIONS[context.one_of("mode", mode, tuple(_REDUCTIONS))]
    if mode == "sub":
        updates = graph.output(op.negative(updates))
    if mode != "div":
        return build(data, updates, reduction)
    ones = op.broadcast(graph.scalar_like(data, 1), graph.shape_of(data)).output(0)
    divide = integers.trunc_div if integers.is_int32(data) else op.divide
    return divide(data, graph.output(build(ones, updates, reduction)))


def _coordinates(x: Output, indices: Output, batch_dims: int) -> Output:
    """Return coordinates in the dimensions of ``x`` after ``batch_dims``, none negative."""
    depth = int(graph.sizes(indices)[-1] or 0)
    addressed = graph.integers(*range(batch_dims, batch_dims + depth))
    limits = op.gather(graph.shape_of(x), addressed, graph.integer(0)).output(0)
    return _from_front(indices, limits)


def _from_front(indices: Output, size: Output) -> Output:
    """Count negative indices from the front."""
    limit = graph.convert(size, indices.get_element_type())
    negative = op.less(indices, graph.scalar_like(indices, 0))
    return graph.output(op.select(negative, op.add(indices, limit), indices))
