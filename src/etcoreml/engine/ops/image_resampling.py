"""MIL family ``image_resizing``, the ops that sample an image at computed places.

Places are in pixels of the input: 0 is the centre of the first pixel, ``n - 1`` of the last.
OpenVINO's ``GridSample`` takes them relative to the image; which of its two conventions is used
decides where it reflects, hence :func:`_sample`.

Source: coremltools 9.0 ``image_resizing.py`` of iOS15, iOS16 and iOS17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.ops.image_resizing import SAMPLING_MODES
from etcoreml.engine.registry import translates

_COORDINATES = ("unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one")
_PADDINGS = ("constant", "border", "reflection", "symmetric")
_BOXES = {
    "CORNERS_HEIGHT_FIRST": (0, 1, 2, 3),
    "CORNERS_WIDTH_FIRST": (1, 0, 3, 2),
    "CENTER_SIZE_HEIGHT_FIRST": (0, 1, 2, 3),
    "CENTER_SIZE_WIDTH_FIRST": (1, 0, 3, 2),
}
"""Where height, width, height and width stand among the four numbers of a box."""


@translates("resample", spec="iOS15.resample, iOS16.resample, iOS17.resample")
def resample(
    x: Output,
    coordinates: Output,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
    context: Context,
) -> Any:
    """Sample an image at any places.

    Args:
        x: ``(B, C, H, W)`` fp16 | fp32.
        coordinates: ``(B, H2, W2, 2)`` places as ``(x, y)``, of any number type.
        sampling_mode: ``bilinear`` or ``nearest`` (halves round to even).
        padding_mode: What is outside the image: ``constant``, ``border``, ``reflection`` (about
            the centre of the edge pixels) or ``symmetric`` (about their outer border).
        padding_value: For ``constant``.
        coordinates_mode: ``unnormalized``, ``normalized_minus_one_to_one`` or
            ``normalized_zero_to_one``.
        align_corners: Whether the ends of a normalised range are the centres of the edge pixels,
            or their outer borders.
        context: The translation.

    Returns:
        ``(B, C, H2, W2)``.
    """
    context.one_of("sampling_mode", sampling_mode, ("bilinear", "nearest"))
    context.one_of("padding_mode", padding_mode, _PADDINGS)
    context.one_of("coordinates_mode", coordinates_mode, _COORDINATES)
    places = _pixels(graph.convert(coordinates, Type.f32), x, coordinates_mode, align_corners)
    return _sample(x, places, sampling_mode, padding_mode, padding_value)


@translates("affine", spec="iOS15.affine")
def affine(
    x: Output,
    transform_matrix: Output,
    output_height: int,
    output_width: int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
    context: Context,
) -> Any:
    """Sample an image at the affine images of the places of the result.

    Args:
        x: ``(B, C, H, W)`` fp16 | fp32.
        transform_matrix: ``(B or 1, 6)``: ``a0, a1, a2, b0, b1, b2`` of
            ``x' = a0 x + a1 y + a2``, ``y' = b0 x + b1 y + b2``, in normalised coordinates.
        output_height: Rows of the result.
        output_width: Columns of the result.
        sampling_mode: ``bilinear``; MIL takes this and the other modes in any case.
        padding_mode: ``constant``.
        padding_value: What is outside the image.
        coordinates_mode: ``normalized_minus_one_to_one``.
        align_corners: As for ``resample``, of both the input and the result.
        context: The translation.

    Returns:
        ``(B, C, output_height, output_width)``.
    """
    sampling_mode = context.one_of("sampling_mode", sampling_mode.lower(), ("bilinear",))
    padding_mode = context.one_of("padding_mode", padding_mode.lower(), ("constant",))
    coordinates_mode = context.one_of(
        "coordinates_mode", coordinates_mode.lower(), ("normalized_minus_one_to_one",)
    )
    ends = [_ends(size, align_corners) for size in (output_width, output_height)]
    columns, rows = np.meshgrid(*ends)
    base = np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)], axis=-1)
    matrices = graph.reshape(transform_matrix, (-1, 2, 3))
    moved = op.matmul(graph.floats(base), matrices, False, True).output(0)
    grid = graph.reshape(moved, (-1, output_height, output_width, 2))
    batch = graph.size_of(x, 0)
    shape = graph.concat([batch, graph.integers(output_height, output_width, 2)], 0)
    grid = graph.output(op.broadcast(grid, shape))
    places = _pixels(grid, x, coordinates_mode, align_corners)
    return _sample(x, places, sampling_mode, padding_mode, padding_value)


@translates("crop_resize", spec="iOS15.crop_resize, iOS16.crop_resize, iOS17.crop_resize")
def crop_resize(
    x: Output,
    context: Context,
    roi: Output | None = None,
    boxes: Output | None = None,
    box_indices: Output | None = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Any:
    """Cut boxes out of images and resize each linearly to one size.

    The places of a side from ``start`` to ``end`` are those of ``resize_bilinear`` for
    ``end - start + 1`` pixels, shifted by ``start``. A place outside the image gives
    ``pad_value``.

    Args:
        x: ``(B, C, H, W)`` fp16 | fp32.
        context: The translation.
        roi: Up to iOS16: ``(N, 1, 4, 1, 1)``, boxes for every image, or ``(N, 1, 5, 1, 1)``, the
            number of an image and a box of it.
        boxes: From iOS17: ``(N, 4)``.
        box_indices: From iOS17: ``(N,)`` number of the image of each box; counts up if absent.
        target_height: Rows of the result.
        target_width: Columns of the result.
        normalized_coordinates: Whether 1 stands for ``H - 1`` and ``W - 1``.
        spatial_scale: Multiplies the boxes.
        box_coordinate_mode: ``CORNERS_*``: two corners, ``CENTER_SIZE_*``: centre and sizes;
            ``*_HEIGHT_FIRST`` or ``*_WIDTH_FIRST``.
        sampling_mode: See ``image_resizing``.
        pad_value: From iOS16.

    Returns:
        Up to iOS16 ``(N, B or 1, C, target_height, target_width)``, from iOS17
        ``(N, C, target_height, target_width)``.
    """
    context.one_of("box_coordinate_mode", box_coordinate_mode, tuple(_BOXES))
    context.one_of("sampling_mode", sampling_mode, SAMPLING_MODES)
    channels = [graph.size_of(x, 1)]
    if roi is None:
        if boxes is None:
            raise context.unsupported("boxes", None, "boxes or roi")
        images = x if box_indices is None else _gather(x, box_indices)
        edges = boxes
        if box_indices is None:
            images = _first(x, graph.size_of(boxes, 0))
    elif graph.known_size(roi, 2) == 5:
        flat = graph.reshape(roi, (-1, 5))
        numbers, edges = op.variadic_split(flat, graph.integer(1), graph.integers(1, 4)).outputs()
        images = _gather(x, graph.reshape(numbers, (-1,)))
        channels = [graph.integers(1), *channels]
    else:
        edges = graph.reshape(roi, (-1, 4))
        every = graph.concat([graph.integers(1, -1), _tail(x)], 0)
        spread = graph.concat([graph.size_of(edges, 0), graph.integers(1, 1, 1)], 0)
        images = graph.output(
            op.broadcast(graph.reshape(x, every), spread, broadcast_spec="BIDIRECTIONAL")
        )
        channels = [graph.size_of(x, 0), *channels]
    sides = _sides(graph.convert(edges, Type.f32), x, box_coordinate_mode, normalized_coordinates)
    scale = graph.floats(spatial_scale)
    y, x_places = (
        _places(
            graph.output(op.multiply(start, scale)),
            graph.output(op.multiply(end, scale)),
            sampling_mode,
            count,
        )
        for (start, end), count in zip(sides, (target_height, target_width), strict=True)
    )
    result = _patches(images, y, x_places, pad_value)
    shape = [graph.size_of(edges, 0), *channels, graph.integers(target_height, target_width)]
    return graph.reshape(result, graph.concat(shape, 0))


def _gather(x: Output, numbers: Output) -> Output:
    return graph.output(op.gather(x, graph.convert(numbers, Type.i32), graph.integer(0)))


def _first(x: Output, count: Output) -> Output:
    return graph.output(op.slice(x, graph.integers(0), count, graph.integers(1), graph.integers(0)))


def _tail(x: Output) -> Output:
    return graph.concat([graph.size_of(x, 2), graph.size_of(x, 3)], 0)


def _sides(edges: Output, x: Output, mode: str, normalized: bool) -> list[tuple[Output, Output]]:
    """Return start and end, each ``(N, 1)`` in pixels, of height and width."""
    columns = op.split(edges, graph.integer(1), 4).outputs()
    a, b, c, d = (columns[i] for i in _BOXES[mode])
    sides = []
    for axis, first, second in ((2, a, c), (3, b, d)):
        start, end = first, second
        if mode.startswith("CENTER"):
            half = op.multiply(second, graph.floats(0.5))
            start, end = op.subtract(first, half).output(0), op.add(first, half).output(0)
        if normalized:
            last = op.subtract(_float_size(x, axis), graph.floats(1))
            start, end = op.multiply(start, last).output(0), op.multiply(end, last).output(0)
        sides.append((start, end))
    return sides


def _places(start: Output, end: Output, mode: str, count: int) -> Output:
    """Return ``(N, count)`` places between ``(N, 1)`` ends: the table of ``image_resizing``."""
    i = np.arange(count, dtype=np.float64)
    span = op.subtract(end, start).output(0)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        alone = 0.5 if mode == "ALIGN_CORNERS" else 0.0
        steps = i / (count - 1) if count > 1 else np.full(1, alone)
        return graph.output(op.add(start, op.multiply(span, graph.floats(steps))))
    if mode == "OFFSET_CORNERS":
        size = op.maximum(span, graph.floats(1))
        offset = op.multiply(size, graph.floats((i + 0.5) / count))
    else:
        size = op.add(span, graph.floats(1))
        if mode == "DEFAULT":
            offset = op.multiply(size, graph.floats(i / count))
        else:
            middles = op.multiply(size, graph.floats((i + 0.5) / count))
            offset = op.subtract(middles, graph.floats(0.5))
    limited = op.maximum(op.minimum(offset, span), graph.floats(0))
    return graph.output(op.add(start, limited))


def _patches(images: Output, rows: Output, columns: Output, pad_value: float) -> Output:
    """Sample each image at the crossings of ``(N, h)`` rows and ``(N, w)`` columns."""
    y, x = graph.unsqueeze(rows, 2), graph.unsqueeze(columns, 1)
    zeros = op.multiply(op.add(y, x), graph.floats(0))
    pairs = [graph.unsqueeze(op.add(value, zeros).output(0), 3) for value in (x, y)]
    places = graph.concat(pairs, 3)
    patches = _sample(images, places, "bilinear", "border", 0.0)
    inside = [
        graph.output(
            op.logical_and(
                op.greater_equal(value, graph.floats(0)),
                op.less_equal(value, op.subtract(_float_size(images, axis), graph.floats(1))),
            )
        )
        for value, axis in ((y, 2), (x, 3))
    ]
    both = graph.unsqueeze(op.logical_and(*inside).output(0), 1)
    return graph.output(op.select(both, patches, graph.floats(pad_value)))


def _float_size(x: Output, axis: int) -> Output:
    return graph.convert(graph.size_of(x, axis), Type.f32)


def _image_sizes(x: Output) -> Output:
    """Return width and height, ``(2,)`` f32: the order of coordinates."""
    return graph.concat([_float_size(x, 3), _float_size(x, 2)], 0)


def _ends(size: int, align_corners: bool) -> Any:
    """Return the places of ``size`` pixels between -1 and 1."""
    if align_corners:
        return np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
    return (2 * np.arange(size) + 1) / size - 1


def _pixels(coordinates: Output, x: Output, mode: str, align_corners: bool) -> Output:
    """Return coordinates in pixels."""
    if mode == "unnormalized":
        return coordinates
    share = coordinates
    if mode == "normalized_minus_one_to_one":
        share = op.multiply(op.add(coordinates, graph.floats(1)), graph.floats(0.5)).output(0)
    size = _image_sizes(x)
    if align_corners:
        return graph.output(op.multiply(share, op.subtract(size, graph.floats(1))))
    return graph.output(op.subtract(op.multiply(share, size), graph.floats(0.5)))


def _sample(x: Output, places: Output, mode: str, padding: str, value: float) -> Output:
    """Sample ``(B, C, H, W)`` at ``(B, H2, W2, 2)`` places in pixels.

    OpenVINO takes the nearest pixel of a place before it reflects it, torch and Core ML after, so
    places are reflected here; and it pads with zeros only, so that a constant is subtracted before
    and added after.
    """
    size = _image_sizes(x)
    if padding in _REFLECTIONS:
        places = _reflected(places, size, padding)
    doubled = op.add(op.multiply(places, graph.floats(2)), graph.floats(1))
    grid = op.subtract(op.divide(doubled, size), graph.floats(1))
    outside = "zeros" if padding == "constant" else "border"
    attributes = {"align_corners": False, "mode": mode, "padding_mode": outside}
    shift = graph.floats(value) if padding == "constant" and value else None
    image = x if shift is None else op.subtract(x, shift).output(0)
    y = op.grid_sample(image, grid, attributes)
    return graph.output(y if shift is None else op.add(y, shift))


_REFLECTIONS = ("reflection", "symmetric")


def _reflected(places: Output, size: Output, padding: str) -> Output:
    """Return places outside of the image as those inside that mirror them."""
    border = graph.floats(0.0 if padding == "reflection" else 0.5)
    length = op.maximum(
        op.subtract(size, graph.floats(1 if padding == "reflection" else 0)), graph.floats(1)
    )
    period = op.multiply(length, graph.floats(2))
    along = op.floor_mod(op.add(places, border), period)
    return graph.output(op.subtract(op.minimum(along, op.subtract(period, along)), border))
