"""MIL family ``pool``. Source: coremltools 9.0 ``iOS15/pool.py``."""

from __future__ import annotations

import math
from typing import Any

from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, nans
from etcoreml.engine.context import Context
from etcoreml.engine.ops.conv import padding
from etcoreml.engine.registry import translates


@translates("max_pool", spec="iOS15.max_pool")
def max_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Maximum over windows of one to three spatial dimensions.

    Args:
        x: ``(n, C, *D_in)`` fp16 | fp32.
        kernel_sizes: Per spatial dimension, in elements.
        pad_type: ``valid``, ``same``, ``same_lower`` or ``custom``.
        context: The translation.
        strides: Per spatial dimension; 1 if absent.
        pad: For ``custom``: before and after each spatial dimension.
        ceil_mode: Whether a window that starts inside but ends outside counts.
    """
    spatial = len(kernel_sizes)
    kind, before, after = padding(context, _pad_type(pad_type), pad, spatial)
    if ceil_mode:
        x = _reached(x, kernel_sizes, strides, [*map(max, before, after)], -math.inf)

    def largest(value: Output) -> Output:
        pooled = op.max_pool(
            value,
            list(strides or [1] * spatial),
            [1] * spatial,
            before,
            after,
            list(kernel_sizes),
            _rounding(ceil_mode),
            kind,
            "i32",
        )
        return graph.output(pooled.output(0))

    if nans.has_none(x):
        return largest(x)
    # OpenVINO's maximum passes over nan and begins with the least finite number: minus infinity
    # marks 0, a number 1, nan 2.
    is_above = graph.convert(graph.output(op.greater(x, graph.floats(-math.inf))), Type.f32)
    is_nan = graph.convert(graph.output(op.is_nan(x)), Type.f32)
    most = largest(graph.output(op.add(is_above, op.multiply(is_nan, graph.floats(2)))))
    found = op.select(op.less(most, graph.floats(1)), graph.floats(-math.inf), largest(x))
    return op.select(op.greater(most, graph.floats(1)), graph.floats(math.nan), found)


@translates("avg_pool", spec="iOS15.avg_pool")
def avg_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
    exclude_padding_from_average: bool = False,
) -> Any:
    """Mean over windows of one to three spatial dimensions.

    Args:
        x: ``(n, C, *D_in)`` fp16 | fp32.
        kernel_sizes: Per spatial dimension, in elements.
        pad_type: ``valid``, ``same``, ``same_lower`` or ``custom``.
        context: The translation.
        strides: Per spatial dimension; 1 if absent.
        pad: For ``custom``: before and after each spatial dimension.
        ceil_mode: Whether a window that starts inside but ends outside counts.
        exclude_padding_from_average: Whether padding counts in the divisor.
    """
    spatial = len(kernel_sizes)
    kind, before, after = padding(context, _pad_type(pad_type), pad, spatial)
    steps = list(strides or [1] * spatial)
    if ceil_mode:
        x = _reached(x, kernel_sizes, strides, [*map(max, before, after)], 0)

    def mean(value: Output, begin: list[int], end: list[int]) -> Output:
        excludes = exclude_padding_from_average
        sizes, rounding = list(kernel_sizes), _rounding(ceil_mode)
        pooled = op.avg_pool(value, steps, begin, end, sizes, excludes, rounding, kind)
        return graph.output(pooled)

    if not ceil_mode or exclude_padding_from_average or not any(before + after):
        return mean(x, before, after)
    # A window that ends outside the padding is divided by what is inside. OpenVINO divides by what
    # is inside of the padding that it did itself.
    y = mean(_padded(x, before, after), [0] * spatial, [0] * spatial)
    if all(step + end <= size for step, end, size in zip(steps, after, kernel_sizes, strict=True)):
        return y
    # A last window that would start in the padding does not count.
    return _first(y, mean(x, before, after))


@translates("l2_pool", spec="iOS15.l2_pool")
def l2_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Square root of the sum of squares over windows; parameters as :func:`max_pool`."""
    squares = op.multiply(x, x).output(0)
    plain = avg_pool(squares, kernel_sizes, pad_type, context, strides, pad, ceil_mode)
    mean = graph.output(plain)
    if ceil_mode:
        # As much padding as the last window can need, so that every mean is of whole windows.
        spatial = len(kernel_sizes)
        steps = list(strides or [1] * spatial)
        _, before, after = padding(context, _pad_type(pad_type), pad, spatial)
        wide = _padded(squares, before, [a + s - 1 for a, s in zip(after, steps, strict=True)])
        none = [0] * spatial
        sums = op.avg_pool(wide, steps, none, none, list(kernel_sizes), False, "floor", "explicit")
        mean = _first(graph.output(sums), mean)
    return op.sqrt(op.multiply(mean, graph.scalar_like(x, math.prod(kernel_sizes))))


def _reached(
    x: Output,
    kernel_sizes: tuple[int, ...],
    strides: tuple[int, ...] | None,
    padding: list[int],
    fill: float,
) -> Output:
    """Append ``fill`` where a last window would begin beyond the elements.

    With strides larger than the kernel there can be one. Where a dimension has no padding, MIL's
    shape rule counts it, unlike torch's and OpenVINO's.
    """
    end = []
    steps = strides or [1] * len(kernel_sizes)
    for axis, (size, step, pads) in enumerate(zip(kernel_sizes, steps, padding, strict=True), 2):
        elements = graph.known_size(x, axis)
        if elements is None or pads:
            end.append(0)
            continue
        last = -((size - elements) // step) * step
        end.append(max(0, last + 1 - elements))
    return _padded(x, [0] * len(end), end, fill) if any(end) else x


def _padded(x: Output, before: list[int], after: list[int], fill: float = 0) -> Output:
    """Add ``fill`` around the spatial dimensions."""
    amounts = (graph.integers(0, 0, *before), graph.integers(0, 0, *after))
    return graph.output(op.pad(x, *amounts, "constant", graph.floats(fill)))


def _first(x: Output, like: Output) -> Output:
    """Cut ``x`` to the shape of ``like``."""
    rank = graph.rank(x)
    front, steps = graph.integers(*[0] * rank), graph.integers(*[1] * rank)
    return graph.output(op.slice(x, front, graph.shape_of(like), steps))


def _pad_type(pad_type: str) -> str:
    """MIL takes the names in any case here, unlike those of convolutions."""
    return pad_type.lower()


def _rounding(ceil_mode: bool) -> str:
    # "ceil_torch" drops a last window that would start in the padding, as MIL's shape rule does.
    return "ceil_torch" if ceil_mode else "floor"
