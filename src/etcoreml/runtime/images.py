"""Images to the tensors a program takes, and tensors back to images.

Enters: PIL images or arrays of pixels. Leaves: tensors of channels, rows, columns in the channel
order the model declares, in units of 0 to 255; scale and bias are operations of the program.

Source: coremltools 9.0 ``coremlpython/CoreMLPythonUtils.mm`` for modes (RGB in, RGBA out, L, F).
That an output's numbers are rounded to the nearest and limited to 0 to 255 is our choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from etcoreml.errors import DtypeError, FeatureTypeError, ModelError, ShapeError, UsageError
from etcoreml.mil.program import Array, ImageFormat, Range
from etcoreml.runtime.arrays import coerce, to_array
from etcoreml.types import DType

MODES = {"RGB": "RGB", "BGR": "RGB", "GRAYSCALE": "L", "GRAYSCALE_FLOAT16": "F"}
"""Colour space to the mode of PIL images that a model takes."""


def check_color_space(image: ImageFormat, what: str) -> None:
    """Refuse a format whose channels are not known.

    Raises:
        ModelError: It is such a one; ``what`` names the feature in the message.
    """
    if image.color_space not in MODES:
        raise ModelError(
            f"{what} is an image of no known color space",
            found=image.color_space,
            expected=", ".join(MODES),
        )


def image_to_tensor(
    value: Any, image: ImageFormat, dtype: DType, shape: tuple[int | None, ...], what: str
) -> Array:
    """Return the tensor of an image.

    Args:
        value: A PIL image; or pixels ``(H, W, 3)`` in RGB order, ``(H, W)`` if the model takes
            grey ones; or a tensor of the program's own shape and channel order.
        image: The declared format.
        dtype: Of the program's input.
        shape: Of the program's input, None for sizes that vary.
        what: Name of the input in an error.

    Returns:
        C-contiguous, of ``dtype`` and the rank of ``shape``.

    Raises:
        FeatureTypeError: The value is no image, or of another mode.
        ShapeError: The model takes no image of this size.
        DtypeError: A pixel is not representable in ``dtype``.
    """
    pixels = _pixels(value, image, what)
    planes = _planes(pixels, image, len(shape), what)
    _check_size(planes.shape[-2:], image, what)
    tensor = coerce(planes, dtype, what)
    return np.ascontiguousarray(tensor.reshape((1,) * (len(shape) - 3) + tensor.shape[-3:]))


def _pixels(value: Any, image: ImageFormat, what: str) -> Array:
    mode = getattr(value, "mode", None)
    if mode is None or not hasattr(value, "tobytes") or isinstance(value, np.ndarray):
        return to_array(value, what)
    expected = MODES[image.color_space]
    if mode != expected:
        raise FeatureTypeError(
            f"{what} is an image of another mode",
            found=repr(mode),
            expected=f"{expected!r} for {image.color_space}",
            hint=f"image.convert({expected!r})",
        )
    return np.asarray(value)


def _planes(pixels: Array, image: ImageFormat, rank: int, what: str) -> Array:
    """Return ``(..., C, H, W)`` in the model's channel order."""
    is_grey = image.color_space.startswith("GRAY")
    channels = 1 if is_grey else 3
    if is_grey and pixels.ndim == 2:
        return pixels[None]
    if not is_grey and pixels.ndim == 3 and pixels.shape[2] == 3:
        ordered = pixels[:, :, ::-1] if image.color_space == "BGR" else pixels
        return ordered.transpose(2, 0, 1)
    own_form = pixels.ndim == rank and rank >= 3 and pixels.shape[-3] == channels
    if own_form and all(size == 1 for size in pixels.shape[:-3]):
        return pixels
    raise ShapeError(
        f"{what} takes an image",
        found=f"an array of shape {pixels.shape}",
        expected=f"a PIL image, {'(H, W)' if is_grey else '(H, W, 3) in RGB order'} or "
        f"{(*(1,) * (rank - 3), channels, 'H', 'W')}",
    )


def _check_size(size: tuple[int, ...], image: ImageFormat, what: str) -> None:
    if image.sizes:
        fits = size in image.sizes
    else:
        fits = _within(size[0], image.height_range, image.height) and _within(
            size[1], image.width_range, image.width
        )
    if not fits:
        height, width = size
        raise ShapeError(
            f"{what} takes no image of this size",
            found=f"{width} x {height} pixels",
            expected=f"{size_text(image)} pixels, width x height",
            hint="image.resize((width, height))",
        )


def _within(size: int, range_: Range | None, fixed: int) -> bool:
    if range_ is None:
        return size == fixed
    low, high = range_
    return low <= size and (high is None or size <= high)


def size_text(image: ImageFormat) -> str:
    """Return the sizes an image may have, width x height.

    >>> size_text(ImageFormat(2, 3, "RGB"))
    '3 x 2'
    >>> size_text(ImageFormat(2, 3, "RGB", height_range=(1, None)))
    '3 x 1 or more'
    """
    if image.sizes:
        return " or ".join(f"{width} x {height}" for height, width in image.sizes)
    return " x ".join(
        str(fixed) if range_ is None else range_text(range_)
        for range_, fixed in ((image.width_range, image.width), (image.height_range, image.height))
    )


def range_text(range_: Range) -> str:
    """Return a range in words.

    >>> range_text((1, 8)), range_text((2, None)), range_text((3, 3))
    ('1 to 8', '2 or more', '3')
    """
    low, high = range_
    if high is None:
        return f"{low} or more"
    return str(low) if low == high else f"{low} to {high}"


def tensor_to_image(tensor: Array, image: ImageFormat, what: str) -> Any:
    """Return a tensor as the PIL image that coremltools would return.

    Args:
        tensor: ``(..., C, H, W)`` or, for one channel, ``(..., H, W)``, in units of 0 to 255.
        image: The declared format.
        what: Name of the output in an error.

    Returns:
        A new image: RGBA with full opacity for RGB and BGR, L for GRAYSCALE, F for
        GRAYSCALE_FLOAT16.

    Raises:
        DtypeError: The tensor has another number of channels.
        UsageError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            f"{what} is an image, which needs the extra 'image'",
            hint="pip install 'etcoreml[image]'",
        ) from error
    channels = 1 if image.color_space.startswith("GRAY") else 3
    height, width = tensor.shape[-2:]
    if tensor.size != channels * height * width:
        raise DtypeError(
            f"{what} is declared as an image of {channels} channel(s)", found=tensor.shape
        )
    planes = tensor.reshape(channels, height, width)
    if image.color_space == "GRAYSCALE_FLOAT16":
        return Image.fromarray(planes[0].astype(np.float32))
    with np.errstate(invalid="ignore"):  # a nan is no colour
        bytes_ = np.clip(np.rint(np.nan_to_num(planes)), 0, 255).astype(np.uint8)
    if channels == 1:
        return Image.fromarray(bytes_[0])
    if image.color_space == "BGR":
        bytes_ = bytes_[::-1]
    opacity = np.full((1, height, width), 255, np.uint8)
    rgba = np.concatenate((bytes_, opacity)).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(rgba))
