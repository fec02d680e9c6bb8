"""MIL family ``tensor_operation``.

Source: coremltools 9.0 ``tensor_operation.py`` of iOS15, iOS16 and iOS17.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


@translates("argsort", spec="iOS15.argsort")
def argsort(x: Output, axis: int = -1, ascending: bool = False) -> Any:
    """Return the int32 indices that sort ``x`` along ``axis``; equals keep their order."""
    position = graph.axis_of(axis, graph.rank(x))
    return _sorted(x, _length(x, position), position, ascending).output(1)


@translates("topk", spec="iOS15.topk, iOS16.topk, iOS17.topk")
def topk(
    x: Output,
    context: Context,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Any:
    """Return the ``k`` largest (smallest if ascending) values along ``axis``, and their indices.

    Args:
        x: ``(*)`` fp16 | fp32 | int32.
        context: The translation.
        k: How many; -1 for all.
        axis: Dimension to search.
        ascending: Whether the smallest are wanted.
        sort: Unsorted results are promised no order; they are sorted here all the same.
        return_indices: Whether the second output exists.
        output_indices_dtype: ``int32`` or ``uint16``; the declared type says the same.
    """
    position = graph.axis_of(axis, graph.rank(x))
    count = _length(x, position) if k == -1 else graph.integer(k)
    best = _sorted(x, count, position, ascending)
    return [best.output(0), best.output(1)] if return_indices else best.output(0)


def _sorted(x: Output, count: Output, axis: int, ascending: bool) -> Any:
    mode = "min" if ascending else "max"
    return op.topk(x, count, axis, mode, "value", "i32", stable=True)


def _length(x: Output, axis: int) -> Output:
    return graph.scalar(graph.size_of(x, axis))


@translates("band_part", spec="iOS15.band_part")
def band_part(x: Output, lower: int = -1, upper: int = -1) -> Any:
    """Keep ``lower`` diagonals below and ``upper`` above the main one of the last two dimensions.

    A negative number keeps all of that side; everything outside becomes zero.
    """
    rank = graph.rank(x)
    row = graph.reshape(_iota(x, rank - 2), (-1, 1))
    column = _iota(x, rank - 1)
    below = op.subtract(row, column)
    inside = op.constant(np.array(True))
    if lower >= 0:
        inside = op.logical_and(inside, op.less_equal(below, graph.integer(lower)))
    if upper >= 0:
        inside = op.logical_and(inside, op.greater_equal(below, graph.integer(-upper)))
    if integers.is_int32(x):
        return integers.select(graph.output(inside), x, integers.number(0))
    return op.select(inside, x, graph.scalar_like(x, 0))


def _iota(x: Output, axis: int) -> Output:
    return graph.output(op.range(graph.integer(0), _length(x, axis), graph.integer(1), "i64"))


@translates("concat", spec="iOS15.concat")
def concat(
    values: tuple[Output, ...], axis: int, context: Context, interleave: bool = False
) -> Any:
    """Concatenate along ``axis``; scalars count as vectors of one element.

    Args:
        values: Tensors of one rank and dtype.
        axis: Dimension to join.
        context: The translation.
        interleave: Take one slice of each in turn; the shapes must be equal.
    """
    type_ = context.element_type()
    parts = [graph.convert(v, type_) for v in values]
    parts = [graph.unsqueeze(v, 0) if graph.rank(v) == 0 else v for v in parts]
    position = graph.axis_of(axis, graph.rank(parts[0]))
    if not interleave:
        return graph.concat(parts, position)
    stacked = graph.concat([graph.unsqueeze(v, position + 1) for v in parts], position + 1)
    shape = graph.shape_of(parts[0])
    factor = [len(parts) if i == position else 1 for i in range(graph.rank(parts[0]))]
    return op.reshape(stacked, op.multiply(shape, graph.integers(*factor)), False)


@translates("cumsum", spec="iOS15.cumsum")
def cumsum(x: Output, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """Cumulative sum along ``axis``; ``(*)`` fp16 | fp32 | int32.

    Args:
        x: Any rank from 1.
        axis: Dimension to sum along.
        exclusive: Whether an element leaves itself out.
        reverse: Whether the sum runs from the end.
    """
    return op.cum_sum(x, graph.integer(axis), exclusive, reverse)


@translates("fill", spec="iOS15.fill")
def fill(shape: Output, context: Context, value: Array | None = None) -> Any:
    """Return a tensor of ``shape`` (``(K,)`` int32) full of ``value`` (zero if absent)."""
    return op.broadcast(_filling(value, context), shape)


@translates("fill_like", spec="iOS16.fill_like")
def fill_like(ref_tensor: Output, context: Context, value: Array | None = None) -> Any:
    """Return a tensor of the shape of ``ref_tensor`` full of ``value`` (zero if absent)."""
    return op.broadcast(_filling(value, context), graph.shape_of(ref_tensor))


def _filling(value: Array | None, context: Context) -> Output:
    number = 0.0 if value is None else np.ravel(value)[0]
    return graph.output(op.constant(np.array(number), dtype=context.element_type()))


@translates("flatten2d", spec="iOS15.flatten2d")
def flatten2d(x: Output, axis: int = 1) -> Any:
    """Return a matrix: dimensions before ``axis`` by dimensions from ``axis`` on."""
    rank = graph.rank(x)
    position = graph.axis_of(axis, rank)
    sizes = graph.sizes(x)
    parts = (sizes[:position], sizes[position:])
    if None not in sizes:
        return graph.reshape(x, [math.prod(int(size or 0) for size in part) for part in parts])
    if None not in parts[1] and 0 not in parts[1]:
        return graph.reshape(x, (-1, math.prod(int(size or 0) for size in parts[1])))
    shape = graph.shape_of(x)
    ends = ((0, position), (position, rank))
    columns = [
        op.reduce_prod(
            op.slice(shape, graph.integers(start), graph.integers(stop), graph.integers(1)),
            graph.integers(0),
            True,
        ).output(0)
        for start, stop in ends
    ]
    return graph.reshape(x, graph.concat(columns, 0))


@translates("identity", spec="iOS15.identity")
def identity(x: Output) -> Any:
    """Return ``x``."""
    return x


@translates("non_zero", spec="iOS15.non_zero")
def non_zero(x: Output) -> Any:
    """Return the ``(N, rank)`` int32 indices of the elements that are not zero."""
    return op.transpose(op.non_zero(x, "i32"), graph.integers(1, 0))


@translates("one_hot", spec="iOS15.one_hot")
def one_hot(
    indices: Output,
    one_hot_vector_size: Output,
    context: Context,
    axis: int = -1,
    on_value: Array | None = None,
    off_value: Array | None = None,
) -> Any:
    """Return ``on_value`` at each index along a new ``axis`` and ``off_value`` elsewhere.

    Args:
        indices: ``(*D)`` int32.
        one_hot_vector_size: Size of the new dimension.
        context: The translation.
        axis: Where it is inserted.
        on_value: One if absent.
        off_value: Zero if absent.
    """
    type_ = context.element_type()
    on = op.constant(np.array(1 if on_value is None else np.ravel(on_value)[0]), dtype=type_)
    off = op.constant(np.array(0 if off_value is None else np.ravel(off_value)[0]), dtype=type_)
    depth = graph.convert(graph.scalar(one_hot_vector_size), Type.i64)
    return op.one_hot(indices, depth, on, off, graph.axis_of(axis, graph.rank(indices) + 1))


@translates("pad", spec="iOS15.pad")
def pad(
    x: Output,
    pad: Output | Array,
    context: Context,
    mode: str = "constant",
    constant_val: Array | None = None,
) -> Any:
    """Pad the last dimensions of ``x``.

    Args:
        x: ``(*D)``.
        pad: ``(2 * N,)`` int32, before and after each of the last N dimensions; at run time it
            must cover all of them.
        context: The translation.
        mode: ``constant``, ``reflect`` or ``replicate``.
        constant_val: The constant; zero if absent.
    """
    kind = _PAD_MODES[context.one_of("mode", mode, tuple(_PAD_MODES))]
    rank = graph.rank(x)
    if isinstance(pad, np.ndarray):
        amounts = [0] * (2 * rank - pad.size) + [int(amount) for amount in pad]
        before, after = graph.integers(*amounts[0::2]), graph.integers(*amounts[1::2])
    else:
        pairs = op.transpose(graph.reshape(pad, (rank, 2)), graph.integers(1, 0))
        halves = op.split(pairs, graph.integer(0), 2).outputs()
        before, after = (graph.reshape(half, (rank,)) for half in halves)
    if kind != "constant":
        return op.pad(x, before, after, kind)
    number = 0.0 if constant_val is None else np.ravel(constant_val)[0]
    return op.pad(x, before, after, kind, graph.scalar_like(x, number))


@translates("range_1d", spec="iOS15.range_1d")
def range_1d(end: Output, start: Output, step: Output, context: Context) -> Any:
    """Return ``start``, ``start + step`` ... below ``end``: ``(M,)`` int32 | fp16 | fp32."""
    type_ = context.element_type()
    begin, stop, by = (graph.convert(graph.scalar(v), type_) for v in (start, end, step))
    return op.range(begin, stop, by, type_.get_type_name())


@translates("shape", spec="iOS15.shape")
def shape(x: Output) -> Any:
    """Return the ``(rank,)`` int32 shape of ``x``."""
    return op.shape_of(x, "i32")


@translates("split", spec="iOS15.split")
def split(
    x: Output,
    axis: int,
    context: Context,
    num_splits: int | None = None,
    split_sizes: tuple[int, ...] | None = None,
) -> Any:
    """Split ``x`` along ``axis`` into parts of ``split_sizes``, or ``num_splits`` equal ones."""
    position = graph.integer(graph.axis_of(axis, graph.rank(x)))
    if split_sizes is not None:
        return op.variadic_split(x, position, graph.integers(*split_sizes)).outputs()
    if num_splits is None:
        raise context.unsupported("num_splits", None, "num_splits or split_sizes")
    return op.split(x, position, num_splits).outputs()


@translates("stack", spec="iOS15.stack")
def stack(values: tuple[Output, ...], axis: int, context: Context) -> Any:
    """Join tensors of one shape along a new dimension ``axis``."""
    type_ = context.element_type()
    position = graph.axis_of(axis, graph.rank(values[0]) + 1)
    parts = [graph.unsqueeze(graph.convert(v, type_), position) for v in values]
    return graph.concat(parts, position)


@translates("tile", spec="iOS15.tile")
def tile(x: Output, reps: Output) -> Any:
    """Repeat dimension ``i`` of ``x`` ``reps[i]`` times; ``reps`` is ``(rank,)`` int32."""
    return op.tile(x, graph.convert(reps, Type.i64))
