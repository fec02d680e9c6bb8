"""MIL family ``image_resizing``.

Linear resizing of one dimension from ``n`` to ``m`` samples the input at these places, limited to
``[0, n - 1]``, for ``i`` from 0 to ``m - 1``:

=====================  ===================================  ============================
sampling mode          place                                OpenVINO's coordinate mode
=====================  ===================================  ============================
STRICT_ALIGN_CORNERS   ``i (n - 1) / (m - 1)``              align_corners
ALIGN_CORNERS          the same; ``(n - 1) / 2`` if m is 1  align_corners, or none
DEFAULT                ``i n / m``                          asymmetric
UNALIGN_CORNERS        ``(i + 0.5) n / m - 0.5``            half_pixel
OFFSET_CORNERS         ``(i + 0.5) max(1, n - 1) / m``      none
=====================  ===================================  ============================

MIL does not say which neighbour of a place ``resize`` takes: by coremltools' tests the nearest one,
unlike ``resize_nearest_neighbor``, which takes the one below; of two the upper one here.

Source: coremltools 9.0 ``image_resizing.py`` of iOS15, iOS16 and iOS17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_COORDINATES = {
    "STRICT_ALIGN_CORNERS": "align_corners",
    "ALIGN_CORNERS": "align_corners",
    "DEFAULT": "asymmetric",
    "UNALIGN_CORNERS": "half_pixel",
}
SAMPLING_MODES = (*_COORDINATES, "OFFSET_CORNERS")

# Of numbers of samples: a remainder below 2^26, times 2^4 for its next digit, twice.
_DIGIT_BITS = 4
_DIGITS = 6


@translates("crop", spec="iOS15.crop")
def crop(x: Output, crop_height: tuple[int, ...], crop_width: tuple[int, ...]) -> Any:
    """Cut ``(before, after)`` rows and columns off the last two dimensions."""
    rank = graph.rank(x)
    start = graph.integers(crop_height[0], crop_width[0])
    shape = graph.shape_of(x)
    edges = op.gather(shape, graph.integers(rank - 2, rank - 1), graph.integer(0))
    stop = op.subtract(edges, graph.integers(crop_height[1], crop_width[1]))
    return op.slice(x, start, stop, graph.integers(1, 1), graph.integers(rank - 2, rank - 1))


@translates("upsample_nearest_neighbor", spec="iOS15.upsample_nearest_neighbor")
def upsample_nearest_neighbor(
    x: Output, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Any:
    """Repeat rows and columns: the last two dimensions grow to ``floor(size * factor)``."""
    is_whole = scale_factor_height % 1 == scale_factor_width % 1 == 0
    return _nearest(x, _scaled(x, scale_factor_height, scale_factor_width), is_whole)


@translates("resize_nearest_neighbor", spec="iOS15.resize_nearest_neighbor")
def resize_nearest_neighbor(x: Output, target_size_height: int, target_size_width: int) -> Any:
    """Resize the last two dimensions to a size; sample ``i`` is input ``floor(i n / m)``."""
    return _nearest(x, graph.integers(target_size_height, target_size_width))


@translates("upsample_bilinear", spec="iOS15.upsample_bilinear, iOS16.upsample_bilinear")
def upsample_bilinear(
    x: Output,
    context: Context,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Any:
    """Scale the last two dimensions linearly to ``floor(size * factor)``.

    Args:
        x: ``(*D, H, W)`` fp16 | fp32.
        context: The translation.
        scale_factor_height: Whole or fractional.
        scale_factor_width: Whole or fractional.
        align_corners: Whether the outermost samples coincide (STRICT_ALIGN_CORNERS).
        half_pixel_centers: Otherwise, whether places are UNALIGN_CORNERS or DEFAULT; the
            opposite of ``align_corners`` if absent.
    """
    half_pixel = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half_pixel:
        raise context.unsupported("half_pixel_centers", True, "False with align_corners")
    mode = "align_corners" if align_corners else "half_pixel" if half_pixel else "asymmetric"
    return _linear(x, _scaled(x, scale_factor_height, scale_factor_width), mode)


@translates("resize_bilinear", spec="iOS15.resize_bilinear")
def resize_bilinear(
    x: Output,
    context: Context,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Any:
    """Resize the last two dimensions linearly to a size.

    Args:
        x: ``(*D, H, W)`` fp16 | fp32.
        context: The translation.
        target_size_height: Rows of the result.
        target_size_width: Columns of the result.
        sampling_mode: See the module.
    """
    mode = context.one_of("sampling_mode", sampling_mode, SAMPLING_MODES)
    target = (target_size_height, target_size_width)
    coordinates = _coordinate_mode(mode, target)
    if coordinates is not None:
        return _linear(x, graph.integers(*target), coordinates)
    return _axis_by_axis(x, graph.integers(*target), mode, False)


@translates("resize", spec="iOS17.resize")
def resize(
    x: Output,
    shape: Output | Array,
    resized_dims: int,
    context: Context,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Any:
    """Resize the last ``resized_dims`` dimensions to the last entries of ``shape``.

    Args:
        x: ``(*D)`` fp16 | fp32 | int32; interpolated integers are cut off.
        shape: ``(K,)`` integers, constant or computed; 0 keeps the size of ``x``.
        resized_dims: How many dimensions, at most K.
        context: The translation.
        interpolation_mode: ``LINEAR`` or ``NEAREST_NEIGHBOR``.
        sampling_mode: See the module.
    """
    context.one_of("interpolation_mode", interpolation_mode, ("LINEAR", "NEAREST_NEIGHBOR"))
    mode = context.one_of("sampling_mode", sampling_mode, SAMPLING_MODES)
    if resized_dims == 0:
        return x
    is_nearest = interpolation_mode == "NEAREST_NEIGHBOR"
    target = _target(x, shape, resized_dims)
    is_plane = resized_dims in (1, 2) and graph.is_float(x)
    coordinates = _coordinate_mode(mode, _constant_sizes(target))
    if is_plane and not is_nearest and coordinates is not None:
        return _linear(x, target, coordinates)
    if is_nearest or graph.is_float(x):
        return _axis_by_axis(x, target, mode, is_nearest)
    y = _axis_by_axis(graph.convert(x, Type.f32), target, mode, False)
    return graph.convert(y, Type.i32)


def _target(x: Output, shape: Output | Array, count: int) -> Output:
    """Return the sizes of the last ``count`` dimensions of the result."""
    rank = graph.rank(x)
    if isinstance(shape, np.ndarray):
        wanted = [int(size) for size in shape[shape.size - count :]]
        own = graph.sizes(x)[rank - count :]
        if all(size or old is not None for size, old in zip(wanted, own, strict=True)):
            return graph.integers(
                *(size or int(old or 0) for size, old in zip(wanted, own, strict=True))
            )
        tail = graph.integers(*wanted)
    else:
        (length,) = graph.sizes(shape)
        stop = int(length or 0)
        last = graph.integers(*range(stop - count, stop))
        tail = graph.convert(op.gather(shape, last, graph.integer(0)).output(0), Type.i64)
    dims = graph.integers(*range(rank - count, rank))
    kept = op.gather(graph.shape_of(x), dims, graph.integer(0))
    return graph.output(op.select(op.equal(tail, graph.integer(0)), kept, tail))


def _constant_sizes(target: Output) -> tuple[int, ...] | None:
    node = target.get_node()
    if node.get_type_name() != "Constant":
        return None
    return tuple(int(size) for size in node.get_data())


def _coordinate_mode(mode: str, target: tuple[int, ...] | None) -> str | None:
    """Return OpenVINO's coordinate mode, or None if it has no such one."""
    if mode == "ALIGN_CORNERS" and (target is None or 1 in target):
        return None
    return _COORDINATES.get(mode)


def _scaled(x: Output, *factors: float) -> Output:
    """Return ``floor(size * factor)`` of the last dimensions."""
    rank = graph.rank(x)
    known = graph.sizes(x)[rank - len(factors) :]
    if None not in known:
        return graph.integers(
            *(
                int(np.floor(np.float32(n or 0) * np.float32(factor)))
                for n, factor in zip(known, factors, strict=True)
            )
        )
    dims = graph.integers(*range(rank - len(factors), rank))
    own = op.gather(graph.shape_of(x), dims, graph.integer(0))
    scaled = op.floor(op.multiply(op.convert(own, Type.f32), graph.floats(factors)))
    return graph.output(op.convert(scaled, Type.i64))


def _linear(x: Output, target: Output, coordinates: str) -> Any:
    return _interpolate(x, target, "linear_onnx", coordinates, "floor")


def _nearest(x: Output, target: Output, is_whole: bool = False) -> Any:
    """Take sample ``floor(i n / m)``.

    Args:
        x: ``(*D, H, W)``.
        target: The sizes m.
        is_whole: Whether they are known to be whole multiples of the input's.
    """
    rank = graph.rank(x)
    sizes, counts = graph.sizes(x)[-2:], _constant_sizes(target)
    if counts is not None and None not in sizes:
        pairs = zip(sizes, counts, strict=True)
        is_whole = all(n and m % n == 0 for n, m in pairs)
    if is_whole:
        return _interpolate(x, target, "nearest", "asymmetric", "floor")
    # OpenVINO divides by a rounded m / n, which may end below a whole number.
    varying = graph.convert(target, Type.i32)
    for place, axis in enumerate((rank - 2, rank - 1)):
        known = sizes[place]
        if known is not None and counts is not None:
            count = counts[place]
            low = graph.integers(*(np.arange(count) * known // max(count, 1)))
        else:
            size = graph.scalar(graph.convert(graph.size_of(x, axis), Type.i32))
            number = op.gather(varying, graph.integer(place), graph.integer(0)).output(0)
            low, _, _ = _neighbours(*_fraction("DEFAULT", size, number, op), size, number, False)
        x = graph.output(op.gather(x, low, graph.integer(axis)))
    return x


def _interpolate(x: Output, target: Output, mode: str, coordinates: str, nearest: str) -> Any:
    """Interpolate the last dimensions, as a rank-4 image: the form CPU kernels are written for."""
    rank = graph.rank(x)
    (count,) = graph.sizes(target)
    count = int(count or 0)
    image = x
    if rank != 4:
        tail = [graph.size_of(x, i) for i in range(rank - count, rank)]
        padding = [graph.integers(1)] * (3 - count)
        image = graph.reshape(x, graph.concat([*padding, graph.integers(-1), *tail], 0))
    axes = graph.integers(*range(4 - count, 4))
    y = op.interpolate(
        image,
        target,
        mode,
        "sizes",
        coordinate_transformation_mode=coordinates,
        nearest_mode=nearest,
        axes=axes,
    ).output(0)
    if rank == 4:
        return y
    lead = [graph.size_of(x, i) for i in range(rank - count)]
    return graph.reshape(y, graph.concat([*lead, target], 0))


def _axis_by_axis(x: Output, target: Output, mode: str, is_nearest: bool) -> Output:
    """Resize the last dimensions one after the other: any number of them, any mode and size.

    What varies is computed in 32 bits, exactly for up to 2^24 samples.
    """
    rank = graph.rank(x)
    (length,) = graph.sizes(target)
    first = rank - int(length or 0)
    constant = _constant_sizes(target)
    counts = graph.convert(target, Type.i32)
    y = x
    for axis in range(first, rank):
        known = graph.known_size(x, axis)
        if constant is not None and known is not None:
            fraction = _fraction(mode, np.int64(known), np.int64(constant[axis - first]), np)
            low, high, share = _known_neighbours(
                *fraction, known, constant[axis - first], is_nearest
            )
        else:
            size = graph.scalar(graph.convert(graph.size_of(x, axis), Type.i32))
            count = graph.output(op.gather(counts, graph.integer(axis - first), graph.integer(0)))
            fraction = _fraction(mode, size, count, op)
            low, high, share = _neighbours(*fraction, size, count, is_nearest)
        y = _blended(y, axis, low, high, share, is_nearest)
    return y


def _fraction(mode: str, size: Any, count: Any, calc: Any) -> tuple[Any, Any, Any]:
    """Return the module's table exactly: sample ``i`` is at ``(i step + start) / parts``.

    Args:
        mode: The sampling mode.
        size: n, a number, or a rank-0 i32.
        count: m, likewise.
        calc: What calculates with them, ``np`` or ``op``.
    """
    one, two = np.int32(1), np.int32(2)
    zero = calc.subtract(size, size)
    last = calc.subtract(size, one)
    if mode == "DEFAULT":
        return size, zero, count
    if mode == "UNALIGN_CORNERS":
        return calc.multiply(size, two), calc.subtract(size, count), calc.multiply(count, two)
    if mode == "OFFSET_CORNERS":
        half = calc.maximum(last, one)
        return calc.multiply(half, two), half, calc.multiply(count, two)
    parts = calc.maximum(calc.subtract(count, one), one)
    if mode == "STRICT_ALIGN_CORNERS":
        return last, zero, parts
    # A single sample is taken in the middle.
    is_alone = calc.subtract(two, calc.minimum(count, two))
    return last, calc.multiply(is_alone, last), calc.add(parts, is_alone)


def _known_neighbours(
    step: Any, start: Any, parts: Any, size: int, count: int, is_nearest: bool
) -> tuple[Output, Output, Output]:
    """Return the samples below and above each place, and the share of the latter, as constants."""
    places = np.arange(count, dtype=np.int64) * step + start
    if is_nearest:
        places, parts = places * 2 + parts, parts * 2
    places = np.clip(places, 0, (size - 1) * parts)
    low = places // parts
    high = np.minimum(low + 1, size - 1)
    share = (places - low * parts) / parts
    return graph.integers(*low), graph.integers(*high), graph.floats(share)


def _neighbours(
    step: Any, start: Any, parts: Any, size: Output, count: Output, is_nearest: bool
) -> tuple[Output, Output, Output]:
    """Return the samples below and above each place, and the share of the latter.

    ``i step`` may not fit 32 bits: it is divided as by hand, a digit of ``i`` after the other.
    """
    two = integers.number(2)
    if is_nearest:
        start = op.add(op.multiply(start, two), parts)
        step, parts = op.multiply(step, two), op.multiply(parts, two)
    step, start, parts = graph.output(step), graph.output(start), graph.output(parts)
    i = op.range(integers.number(0), count, integers.number(1), "i32")
    base = integers.number(1 << _DIGIT_BITS)
    whole, start_whole = integers.floor_div(step, parts), integers.floor_div(start, parts)
    more, rest = op.subtract(step, op.multiply(whole, parts)), integers.number(0)
    quotient = integers.number(0)
    for place in reversed(range(_DIGITS)):
        digit = op.bitwise_and(
            op.bitwise_right_shift(i, integers.number(place * _DIGIT_BITS)),
            integers.number((1 << _DIGIT_BITS) - 1),
        )
        dividend = op.add(op.multiply(rest, base), op.multiply(digit, more))
        if place == 0:
            dividend = op.add(dividend, op.subtract(start, op.multiply(start_whole, parts)))
        next_digit, rest = _digit_of(dividend, parts)
        quotient = op.add(op.multiply(quotient, base), next_digit)
    low = op.add(op.add(op.multiply(i, whole), start_whole), quotient)
    last = op.subtract(size, integers.number(1))
    inside = op.maximum(op.minimum(low, last), integers.number(0))
    high = op.minimum(op.add(inside, integers.number(1)), last)
    # Before the first and after the last sample there is nothing to blend with.
    is_inside = op.convert(integers.equal(graph.output(low), graph.output(inside)), Type.f32)
    share = op.divide(op.convert(rest, Type.f32), op.convert(parts, Type.f32))
    return (
        graph.output(inside),
        graph.output(high),
        graph.output(op.multiply(share, is_inside)),
    )


def _digit_of(x: Any, y: Any) -> tuple[Any, Any]:
    """Return quotient, a small number, and remainder of what is not negative."""
    zero = integers.number(0)
    ratio = op.divide(op.convert(x, Type.f32), op.convert(y, Type.f32))
    quotient = op.convert(ratio, Type.i32)
    rest = op.subtract(x, op.multiply(quotient, y))
    # Rounding makes it wrong by one at most.
    is_high = op.convert(op.less(rest, zero), Type.i32)
    is_low = op.convert(op.greater_equal(op.subtract(rest, y), zero), Type.i32)
    change = op.subtract(is_low, is_high)
    return op.add(quotient, change), op.subtract(rest, op.multiply(change, y))


def _blended(
    x: Output, axis: int, low: Output, high: Output, share: Output, is_nearest: bool
) -> Output:
    """Sample one dimension: the samples ``low``, or a blend with ``share`` of ``high``."""
    position = graph.integer(axis)
    below = graph.output(op.gather(x, low, position))
    if is_nearest:
        return below
    above = op.gather(x, high, position)
    weight = graph.unsqueeze(share, *range(1, graph.rank(x) - axis))
    # Not below + weight * (above - below), which would make nan of infinities.
    kept = op.multiply(below, op.subtract(graph.floats(1), weight))
    return graph.output(op.add(kept, op.multiply(above, weight)))
