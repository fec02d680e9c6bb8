"""MIL family ``scatter_gather``.

Negative indices count from the end, in iOS17 too, where MIL leaves them undefined but safe for
memory, as it does all others that are out of range: here those stand for the nearest in range.
With iOS17's ``validate_indices`` both are errors, when the program is loaded if the indices are
constant, else when it runs. So is any index into a dimension of no elements.

Source: coremltools 9.0 ``scatter_gather.py`` of iOS15, iOS16 and iOS17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.errors import EngineError

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
    context: Context,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Any:
    """Take slices of ``x`` along ``axis``.

    Args:
        x: ``(*D)`` of any dtype.
        indices: ``(*N)`` integers.
        context: The translation.
        axis: Dimension of ``x`` that the indices address.
        batch_dims: Leading dimensions that ``x`` and ``indices`` share.
        validate_indices: See the module.

    Returns:
        ``D[:axis] + N[batch_dims:] + D[axis + 1:]``.
    """
    position = graph.axis_of(axis, graph.rank(x))
    positions = in_range(x, indices, (position,), context, validate_indices)
    if graph.known_size(x, position) == 0 and 0 in graph.sizes(positions):
        # OpenVINO 2026.4 divides by the size.
        return _empty(x, positions, position, batch_dims)
    if batch_dims and position == batch_dims:
        # OpenVINO 2026.4 crashes in the kernel of a small batched Gather of static shape.
        return op.gather_nd(x, graph.unsqueeze(positions, graph.rank(positions)), batch_dims)
    return op.gather(x, positions, graph.integer(position), batch_dims)


def _empty(x: Output, indices: Output, axis: int, batch_dims: int) -> Output:
    """Return what ``gather`` takes by no indices from no elements: nothing, of the right shape."""
    sizes = [graph.size_of(x, i) for i in range(axis)]
    sizes += [graph.size_of(indices, i) for i in range(batch_dims, graph.rank(indices))]
    sizes += [graph.size_of(x, i) for i in range(axis + 1, graph.rank(x))]
    return graph.output(op.broadcast(graph.scalar_like(x, 0), graph.concat(sizes, 0)))


@translates(
    "gather_along_axis",
    spec="iOS15.gather_along_axis, iOS16.gather_along_axis, iOS17.gather_along_axis",
)
def gather_along_axis(
    x: Output, indices: Output, context: Context, axis: int = 0, validate_indices: bool = False
) -> Any:
    """Take ``x[.., indices[p], ..]`` at each position ``p``; the shape is that of ``indices``."""
    position = graph.axis_of(axis, graph.rank(x))
    positions = in_range(x, indices, (position,), context, validate_indices)
    return op.gather_elements(x, positions, position)


@translates("gather_nd", spec="iOS15.gather_nd, iOS16.gather_nd, iOS17.gather_nd")
def gather_nd(
    x: Output,
    indices: Output,
    context: Context,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Any:
    """Take the slices of ``x`` whose leading coordinates are the last dimension of ``indices``."""
    positions = _coordinates(x, indices, batch_dims, context, validate_indices)
    return op.gather_nd(x, positions, batch_dims)


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
    positions = in_range(data, indices, (position,), context, validate_indices)
    shape = [-1 if i == position else 1 for i in range(rank)]
    spread = op.broadcast(graph.reshape(positions, shape), graph.shape_of(updates)).output(0)
    return _scattered(data, spread, updates, context, position, mode)


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
    positions = in_range(data, indices, (position,), context, validate_indices)
    return _scattered(data, positions, updates, context, position, mode)


def _scattered(
    data: Output, positions: Output, updates: Output, context: Context, axis: int, mode: str
) -> Any:
    def build(target: Output, values: Output, reduction: str) -> Any:
        return op.scatter_elements_update(target, positions, values, graph.integer(axis), reduction)

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
    positions = _coordinates(data, indices, 0, context, validate_indices)

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
    if 0 in graph.sizes(updates):
        # OpenVINO 2026.4 divides by the size of the data, which may be zero then.
        return data
    reduction = _REDUCTIONS[context.one_of("mode", mode, tuple(_REDUCTIONS))]
    if mode == "sub":
        updates = graph.output(op.negative(updates))
    if mode != "div":
        return build(data, updates, reduction)
    ones = op.broadcast(graph.scalar_like(data, 1), graph.shape_of(data)).output(0)
    divide = integers.trunc_div if integers.is_int32(data) else op.divide
    return divide(data, graph.output(build(ones, updates, reduction)))


def _coordinates(
    x: Output, indices: Output, batch_dims: int, context: Context, validates: bool
) -> Output:
    """Return coordinates in the dimensions of ``x`` after ``batch_dims``, all in range."""
    depth = int(graph.sizes(indices)[-1] or 0)
    axes = tuple(range(batch_dims, batch_dims + depth))
    return in_range(x, indices, axes, context, validates)


def in_range(
    x: Output, indices: Output, axes: tuple[int, ...], context: Context, validates: bool
) -> Output:
    """Return indices into ``x`` counted from the front, all of them in range.

    OpenVINO's kernels differ in what they do with others: some read zeros, some fail, and
    GatherND reads whatever memory is there.

    Args:
        x: What the indices address.
        indices: ``(*N)`` integers.
        axes: The dimension addressed, or one for each index of the last dimension.
        context: The translation.
        validates: Whether negative indices and those out of range are errors.

    Raises:
        EngineError: The constant ``indices`` hold one, and ``validates``; or a dimension addressed
            has no elements.
    """
    type_ = indices.get_element_type()
    sizes = [graph.known_size(x, axis) for axis in axes]
    if validates:
        _check_constant(sizes, context)
    may_be_any = 0 not in graph.sizes(indices)
    if 0 in sizes and may_be_any and None not in graph.sizes(indices):
        raise EngineError(
            f"{context.label}: there is nothing to index",
            found=f"dimensions of {sizes}",
            expected="dimensions of at least one element, or no indices",
        )
    if graph.is_constant(indices) and None not in sizes:
        # A constant: OpenVINO reasons about shapes through a Gather of one.
        known = indices.get_node().get_data().astype(np.int64)
        front = np.clip(np.where(known < 0, known + sizes, known), 0, np.array(sizes) - 1)
        return graph.output(op.constant(front.reshape(known.shape), dtype=type_))
    limit = graph.convert(graph.concat([graph.size_of(x, axis) for axis in axes], 0), type_)
    if graph.rank(indices) == 0:
        limit = graph.scalar(limit)
    if validates:
        indices = _checked(indices, limit, context)
    zero, one = graph.scalar_like(indices, 0), graph.scalar_like(indices, 1)
    is_negative = graph.convert(graph.output(op.less(indices, zero)), type_)
    front = op.add(indices, op.multiply(is_negative, limit))
    last = graph.output(op.subtract(limit, one))
    if may_be_any and not all(sizes):
        last = _in_something(last, limit, indices, context)
    return graph.output(op.minimum(op.maximum(front, zero), last))


def _in_something(last: Output, limit: Output, indices: Output, context: Context) -> Output:
    """Return ``last``, unless a dimension is empty and there are indices: then the run fails.

    Kernels would read any memory, or divide by zero.
    """
    is_empty = op.equal(limit, graph.scalar_like(limit, 0)).output(0)
    if None in graph.sizes(indices):
        count = op.reduce_prod(graph.shape_of(indices), graph.integers(0), False)
        is_empty = op.logical_and(is_empty, op.greater(count, graph.integer(0))).output(0)
    offset = zero_unless(is_empty, "something_to_index", context)
    return graph.output(op.add(last, graph.convert(offset, last.get_element_type())))


def _check_constant(sizes: list[int | None], context: Context) -> None:
    constant = context.constant("indices")
    if constant is None:
        return
    values: Any = np.asarray(constant.unpack())
    limits = np.array([np.inf if size is None else size for size in sizes])
    outside = values[(values < 0) | (values >= limits)]
    if outside.size:
        raise EngineError(
            f"{context.label}: parameter 'indices' is out of range and 'validate_indices' is set",
            found=int(outside[0]),
            expected=f"indices from 0 into dimensions of {sizes}",
        )


def _checked(indices: Output, limit: Output, context: Context) -> Output:
    """Return the indices, unless one is out of range: then a kernel that checks its own fails."""
    is_outside = op.logical_or(
        op.less(indices, graph.scalar_like(indices, 0)),
        op.logical_not(integers.less(indices, limit)),
    )
    offset = zero_unless(graph.output(is_outside), "validate_indices", context)
    return graph.output(op.add(indices, graph.convert(offset, indices.get_element_type())))


def zero_unless(is_wrong: Output, what: str, context: Context) -> Output:
    """Return an i32 zero, rank 0, to add to what must not be used if anything is wrong.

    A kernel that checks its index fails then: the only one is 0, and it gets the number of wrongs.

    Args:
        is_wrong: ``(*)`` boolean.
        what: Is checked; part of the message.
        context: The translation.
    """
    axes = graph.integers(*range(graph.rank(is_wrong)))
    count = op.reduce_sum(op.convert(is_wrong, Type.f32), axes, False).output(0)
    place = graph.reshape(graph.convert(count, Type.i32), (1,))
    nothing = op.gather_elements(op.constant(np.zeros(1, np.int32)), place, 0)
    nothing.set_friendly_name(f"{context.operation.outputs[0].name}/{what}")
    return graph.squeeze(graph.output(nothing), 0)
