"""MIL family ``tensor_transformation``.

Source: coremltools 9.0 ``tensor_transformation.py`` of iOS15 to iOS18.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.ops.scatter_gather import zero_unless
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_END = 2**31 - 1
"""An end beyond every dimension: all the way."""


@translates("depth_to_space", spec="iOS15.depth_to_space")
def depth_to_space(x: Output, block_size: int) -> Any:
    """``(n, C, H, W)`` to ``(n, C / b^2, b H, b W)``; channels count the block first."""
    return op.depth_to_space(x, "blocks_first", block_size)


@translates("space_to_depth", spec="iOS15.space_to_depth")
def space_to_depth(x: Output, block_size: int) -> Any:
    """``(n, C, H, W)`` to ``(n, C b^2, H / b, W / b)``; the inverse of ``depth_to_space``."""
    return op.space_to_depth(x, "blocks_first", block_size)


@translates("pixel_shuffle", spec="iOS15.pixel_shuffle")
def pixel_shuffle(x: Output, upscale_factor: int) -> Any:
    """``(n, C f^2, H, W)`` to ``(n, C, f H, f W)``; channels count the block last, as torch."""
    return op.depth_to_space(x, "depth_first", upscale_factor)


@translates("pixel_unshuffle", spec="iOS16.pixel_unshuffle")
def pixel_unshuffle(x: Output, downscale_factor: int) -> Any:
    """``(n, C, f H, f W)`` to ``(n, C f^2, H, W)``; the inverse of ``pixel_shuffle``."""
    return op.space_to_depth(x, "depth_first", downscale_factor)


@translates("space_to_batch", spec="iOS15.space_to_batch")
def space_to_batch(x: Output, block_shape: tuple[int, ...], paddings: Array) -> Any:
    """Move blocks of the spatial dimensions of ``(n, C, H, W)``, padded first, to the batch."""
    before, after = _outer(paddings)
    return op.space_to_batch(x, graph.integers(1, 1, *block_shape), before, after)


@translates("batch_to_space", spec="iOS15.batch_to_space")
def batch_to_space(x: Output, block_shape: tuple[int, ...], crops: Array) -> Any:
    """Move the batch of ``(n, C, H, W)`` to blocks of the spatial dimensions, then crop them."""
    before, after = _outer(crops)
    return op.batch_to_space(x, graph.integers(1, 1, *block_shape), before, after)


def _outer(pairs: Array) -> tuple[Output, Output]:
    """Split ``(2, 2)`` (before, after) pairs of the spatial dimensions into two full vectors."""
    rows = np.asarray(pairs).reshape(-1, 2)
    return graph.integers(0, 0, *rows[:, 0]), graph.integers(0, 0, *rows[:, 1])


@translates("expand_dims", spec="iOS15.expand_dims, iOS17.expand_dims")
def expand_dims(x: Output, axes: tuple[int, ...]) -> Any:
    """Insert dimensions of size one at ``axes`` of the result."""
    return graph.unsqueeze(x, *graph.axes_of(axes, graph.rank(x) + len(axes)))


@translates("squeeze", spec="iOS15.squeeze, iOS17.squeeze")
def squeeze(x: Output, context: Context, axes: tuple[int, ...] | None = None) -> Any:
    """Remove dimensions of size one among ``axes`` (all if absent); others are left, as torch.

    A size that varies counts as one if it was named and the declared rank says that it went.
    """
    sizes = graph.sizes(x)
    chosen = range(len(sizes)) if axes is None else graph.axes_of(axes, len(sizes))
    ones = [axis for axis in chosen if sizes[axis] == 1]
    declared = context.declared().shape
    if axes is not None and (declared is None or len(declared) < len(sizes) - len(ones)):
        ones = [axis for axis in chosen if sizes[axis] in (1, None)]
    return graph.squeeze(x, *ones)


@translates("reshape", spec="iOS15.reshape, iOS17.reshape")
def reshape(x: Output, shape: Output) -> Any:
    """Give ``x`` another shape of as many elements.

    Args:
        x: ``(*)``.
        shape: ``(K,)`` int32. -1 is inferred; 0, if K is the rank of ``x``, keeps the dimension. Of
            another length, since iOS17, 0 is the size of ``x`` at that place from the right, or 1
            if there is none.
    """
    (length,) = graph.sizes(shape)
    rank = graph.rank(x)
    if length is None or length == rank or not graph.is_constant(shape):
        return op.reshape(x, shape, length == rank)
    if 0 not in shape.get_node().get_data() or 0 in graph.sizes(x):
        return op.reshape(x, shape, False)
    sizes = [graph.integers(1)] * max(length - rank, 0)
    sizes += [graph.size_of(x, axis) for axis in range(max(rank - length, 0), rank)]
    wide = graph.convert(shape, Type.i64)
    kept = op.equal(wide, graph.integer(0))
    return op.reshape(x, op.select(kept, graph.concat(sizes, 0), wide), False)


@translates("reshape_like", spec="iOS16.reshape_like, iOS17.reshape_like")
def reshape_like(
    x: Output,
    ref_tensors: tuple[Output, ...],
    begins: tuple[Array, ...],
    ends: tuple[Array, ...],
    end_masks: tuple[Array, ...],
) -> Any:
    """Give ``x`` a shape put together from slices of the shapes of other tensors.

    Args:
        x: ``(*)``.
        ref_tensors: The tensors to take sizes from.
        begins: For each, the first dimension to take.
        ends: For each, the dimension to stop before.
        end_masks: For each, whether to go to its last dimension instead.
    """
    parts = []
    for tensor, begin, end, mask in zip(ref_tensors, begins, ends, end_masks, strict=True):
        rank = graph.rank(tensor)
        stop = rank if bool(mask) else int(end)
        chosen = range(rank)[int(begin) : stop]
        parts.append(op.gather(graph.shape_of(tensor), graph.integers(*chosen), graph.integer(0)))
    return op.reshape(x, op.concat(parts, 0), False)


@translates("reverse", spec="iOS15.reverse, iOS17.reverse")
def reverse(x: Output, axes: tuple[int, ...] | None = None) -> Any:
    """Reverse the order along ``axes``, all if absent."""
    rank = graph.rank(x)
    over = graph.axes_of(range(rank) if axes is None else axes, rank)
    minus_one = graph.integers(*[-1] * len(over))
    front = graph.integers(*[-_END] * len(over))
    return op.slice(x, minus_one, front, minus_one, graph.integers(*over))


@translates("reverse_sequence", spec="iOS15.reverse_sequence, iOS17.reverse_sequence")
def reverse_sequence(x: Output, lengths: Output, seq_axis: int = 0, batch_axis: int = 0) -> Any:
    """Reverse the first ``lengths[i]`` elements along ``seq_axis`` of batch element ``i``."""
    rank = graph.rank(x)
    batch, sequence = graph.axis_of(batch_axis, rank), graph.axis_of(seq_axis, rank)

    def reverse(value: Output) -> Any:
        return op.reverse_sequence(value, lengths, np.int64(batch), np.int64(sequence))

    return integers.by_halves(reverse, x) if integers.is_int32(x) else reverse(x)


@translates("slice_by_index", spec="iOS15.slice_by_index, iOS17.slice_by_index")
def slice_by_index(
    x: Output,
    begin: Output,
    end: Output,
    stride: tuple[int, ...] | None = None,
    begin_mask: tuple[bool, ...] | None = None,
    end_mask: tuple[bool, ...] | None = None,
    squeeze_mask: tuple[bool, ...] | None = None,
) -> Any:
    """Slice as NumPy does: ``x[begin:end:stride, ...]``.

    Args:
        x: ``(*)``.
        begin: ``(rank,)`` int32, constant or computed.
        end: ``(rank,)`` int32, constant or computed.
        stride: Steps; ones if absent.
        begin_mask: Where to start at the edge instead.
        end_mask: Where to stop at the edge instead.
        squeeze_mask: Where to take the element at ``begin`` and drop the dimension.
    """
    rank = graph.rank(x)
    no = (False,) * rank
    if rank and all(squeeze_mask or no) and not graph.is_constant(begin):
        # OpenVINO 2026.4 cannot run a StridedSlice to rank 0 from a computed place.
        shape = graph.convert(graph.shape_of(x), Type.i64)
        place = _from_front(graph.convert(begin, Type.i64), shape)
        return op.gather_nd(x, place)
    return op.strided_slice(
        x,
        begin,
        end,
        graph.convert(graph.integers(*(stride or (1,) * rank)), begin.get_element_type()),
        [int(flag) for flag in begin_mask or no],
        [int(flag) for flag in end_mask or no],
        [],
        [int(flag) for flag in squeeze_mask or no],
        [],
    )


@translates("slice_by_size", spec="iOS15.slice_by_size, iOS17.slice_by_size")
def slice_by_size(x: Output, begin: Output, size: Output, context: Context) -> Any:
    """Take ``size`` elements from ``begin`` on in each dimension; -1 takes all that remain.

    Args:
        x: ``(*)``.
        begin: ``(rank,)`` int32; negative counts from the end.
        size: ``(rank,)`` int32.
        context: The translation.
    """
    shape = graph.shape_of(x)
    wide_begin, wide_size = graph.convert(begin, Type.i64), graph.convert(size, Type.i64)
    zero = graph.integer(0)
    start = op.select(op.less(wide_begin, zero), op.add(wide_begin, shape), wide_begin)
    stop = op.select(op.less(wide_size, zero), shape, op.add(start, wide_size))
    ones = graph.integers(*[1] * graph.rank(x))
    taken = op.slice(x, start, stop, ones).output(0)
    declared = context.declared().shape
    if declared is None or None in declared or taken.get_partial_shape().is_static:
        return taken
    # OpenVINO cannot infer the size of a slice that starts anywhere; MIL knows it.
    return graph.reshape(taken, [int(length or 0) for length in declared])


@translates("slice_update", spec="iOS18.slice_update")
def slice_update(
    x: Output,
    update: Output,
    begin: Output,
    end: Output,
    context: Context,
    stride: tuple[int, ...] | None = None,
    begin_mask: tuple[bool, ...] | None = None,
    end_mask: tuple[bool, ...] | None = None,
    squeeze_mask: tuple[bool, ...] | None = None,
) -> Any:
    """Return ``x`` with the slice that ``slice_by_index`` would take replaced by ``update``.

    An update of another size than the slice is an error, when the program runs if the bounds are
    computed: a cache of keys and values, say, that is full.
    """
    rank = graph.rank(x)
    no = (False,) * rank
    squeezed = squeeze_mask or no
    steps = [
        1 if flag else step for step, flag in zip(stride or (1,) * rank, squeezed, strict=True)
    ]
    start = _masked(begin, begin_mask or no, [0 if step > 0 else _END for step in steps])
    stop = _masked(end, end_mask or no, [_END if step > 0 else -_END for step in steps])
    update = graph.unsqueeze(update, *[i for i, flag in enumerate(squeezed) if flag])
    if not (graph.is_constant(begin) and graph.is_constant(end)):
        first = _checked(x, update, start, stop, steps, squeezed, context)
        return _scatter_from(x, update, first, steps)
    if any(squeezed):
        # One element; after the last one, -1 + 1 = 0 would mean the front.
        following = op.add(start, graph.integer(1))
        last = op.equal(following, graph.integer(0))
        one = op.select(last, graph.integer(_END), following)
        stop = graph.output(op.select(op.constant(np.array(squeezed)), one, stop))
    axes = graph.integers(*range(rank))
    return op.slice_scatter(x, update, start, stop, graph.integers(*steps), axes)


def _checked(
    x: Output,
    update: Output,
    start: Output,
    stop: Output,
    steps: Sequence[int],
    squeezed: Sequence[bool],
    context: Context,
) -> Output:
    """Return ``start`` from the front, in range; the run fails if ``update`` is no such slice.

    Args:
        x: ``(*D)``.
        update: Of the rank of ``x``.
        start: ``(rank,)`` i64; negative counts from the end, beyond an edge means the edge.
        stop: As ``start``.
        steps: Distance of neighbours, per dimension.
        squeezed: Where the slice is one element at ``start``.
        context: The translation.
    """
    size, count = graph.shape_of(x), graph.shape_of(update)
    is_forward = np.array([step > 0 for step in steps])
    edge = graph.integers(*np.where(is_forward, 0, -1))
    far = op.add(size, edge)
    begins = _from_front(start, size)
    ends = _from_front(stop, size)
    if any(squeezed):
        one = op.constant(np.array(squeezed, np.int64))
        following = op.multiply(op.add(begins, graph.integer(1)), one)
        ends = op.add(op.multiply(ends, op.subtract(graph.integer(1), one)), following)
    first = op.maximum(op.minimum(begins, far), edge)
    last = op.maximum(op.minimum(ends, far), edge)
    ahead = op.multiply(op.subtract(last, first), graph.integers(*np.sign(steps)))
    # The update of n elements fits if n steps reach the end, and n - 1 do not.
    width = graph.integers(*np.abs(steps))
    surplus = op.subtract(op.multiply(count, width), op.maximum(ahead, graph.integer(0)))
    is_wrong = op.logical_or(
        op.less(surplus, graph.integer(0)),
        op.greater_equal(op.subtract(surplus, width), graph.integer(0)),
    )
    zero = graph.convert(
        zero_unless(graph.output(is_wrong), "slice_update_bounds", context), Type.i64
    )
    return graph.output(op.add(first, zero))


def _from_front(places: Output, size: Output) -> Output:
    """Count negative places from the front, exactly: Select would compute in f32."""
    is_negative = op.convert(op.less(places, graph.integer(0)), Type.i64)
    return graph.output(op.add(places, op.multiply(is_negative, size)))


def _scatter_from(x: Output, update: Output, start: Output, steps: Sequence[int]) -> Any:
    """Write ``update`` into ``x`` from a computed position on.

    SliceScatter of OpenVINO 2026.4 crashes while it compiles if its start is computed; without
    its ``axes`` it returns wrong values.

    Args:
        x: ``(*D)``.
        update: Of the rank of ``x``; its sizes say how far it reaches.
        start: ``(rank,)`` i64, from the front and in range.
        steps: Distance of neighbours, per dimension.
    """
    positions, stride = graph.integer(0), graph.integers(1)
    for axis in reversed(range(len(steps))):
        size = graph.size_of(x, axis)
        first = op.gather(start, graph.integers(axis), graph.integer(0))
        count = graph.scalar(graph.size_of(update, axis))
        along = op.range(graph.integer(0), count, graph.integer(1), "i64")
        index = op.multiply(op.add(first, op.multiply(along, graph.integer(steps[axis]))), stride)
        column = graph.reshape(graph.output(index), [-1] + [1] * (len(steps) - 1 - axis))
        positions = graph.output(op.add(column, positions))
        stride = graph.output(op.multiply(stride, size))
    flat = op.scatter_update(
        graph.reshape(x, [-1]),
        graph.reshape(positions, [-1]),
        graph.reshape(update, [-1]),
        graph.integer(0),
    )
    return op.reshape(flat, graph.shape_of(x), False)


def _masked(values: Output, mask: Sequence[bool], edge: Sequence[int]) -> Output:
    wide = graph.convert(values, Type.i64)
    if not any(mask):
        return wide
    return graph.output(op.select(op.constant(np.array(mask)), graph.integers(*edge), wide))


@translates("sliding_windows", spec="iOS15.sliding_windows, iOS17.sliding_windows")
def sliding_windows(x: Output, axis: int, size: int, stride: int = 1) -> Any:
    """Return windows of ``size`` along ``axis``, ``stride`` apart, in a new dimension after it."""
    position = graph.axis_of(axis, graph.rank(x))
    length = graph.scalar(graph.size_of(x, position))
    stop = op.add(length, graph.integer(1 - size))
    starts = op.range(graph.integer(0), stop, graph.integer(stride), "i64").output(0)
    windows = op.add(graph.unsqueeze(starts, 1), graph.integers(*range(size)))
    return op.gather(x, windows, graph.integer(position))


@translates("transpose", spec="iOS15.transpose, iOS17.transpose")
def transpose(x: Output, perm: tuple[int, ...]) -> Any:
    """Permute the dimensions; entries of ``perm`` may be negative."""
    return graph.transpose(x, graph.axes_of(perm, graph.rank(x)))
