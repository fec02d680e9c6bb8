"""Images to tensors and back. Oracle: Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from etcoreml.errors import DtypeError, FeatureTypeError, ShapeError
from etcoreml.mil import ImageFormat
from etcoreml.runtime.images import image_to_tensor, tensor_to_image
from etcoreml.types import BY_NAME, FP16, FP32

HEIGHT, WIDTH = 5, 4
COLOUR = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
GREY = COLOUR[:, :, 0]


def tensor(value: Any, space: str, dtype: Any = FP32, **sizes: Any) -> Any:
    channels = 1 if space.startswith("GRAY") else 3
    image = ImageFormat(HEIGHT, WIDTH, space, **sizes)
    return image_to_tensor(value, image, dtype, (1, channels, None, None), "input 'image'")


@pytest.mark.parametrize("dtype", [FP32, FP16, BY_NAME["uint8"]])
@pytest.mark.parametrize("given", [COLOUR, Image.fromarray(COLOUR)], ids=["array", "PIL"])
def test_colour_has_the_declared_channel_order(given: Any, dtype: Any) -> None:
    planes = COLOUR.transpose(2, 0, 1)[None]
    for space, expected in (("RGB", planes), ("BGR", planes[:, ::-1])):
        found = tensor(given, space, dtype)
        assert found.dtype == dtype.storage
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("given", [GREY, Image.fromarray(GREY)], ids=["array", "PIL"])
def test_grey(given: Any) -> None:
    np.testing.assert_array_equal(tensor(given, "GRAYSCALE"), GREY[None, None])


def test_grey_in_fp16() -> None:
    halves = GREY.astype(np.float32) / 3
    found = tensor(Image.fromarray(halves), "GRAYSCALE_FLOAT16", FP16)
    np.testing.assert_array_equal(found, halves.astype(np.float16)[None, None])


def test_a_tensor_of_the_programs_own_form_passes() -> None:
    own = COLOUR.transpose(2, 0, 1)[None].astype(np.float32)
    np.testing.assert_array_equal(tensor(own, "BGR"), own)


@pytest.mark.parametrize(
    ("mode", "space", "hint"),
    [("RGBA", "RGB", "'RGB'"), ("RGB", "GRAYSCALE", "'L'"), ("L", "GRAYSCALE_FLOAT16", "'F'")],
)
def test_other_modes_are_refused_with_the_way_out(mode: str, space: str, hint: str) -> None:
    with pytest.raises(FeatureTypeError, match=rf"found '{mode}'.*\n.*convert\({hint}\)"):
        tensor(Image.new(mode, (WIDTH, HEIGHT)), space)


@pytest.mark.parametrize(
    ("sizes", "size", "fits"),
    [
        ({}, (4, 5), True),
        ({}, (5, 4), False),
        ({"sizes": ((5, 4), (10, 8))}, (8, 10), True),
        ({"sizes": ((5, 4), (10, 8))}, (8, 5), False),
        ({"height_range": (5, 9), "width_range": (1, None)}, (1000, 9), True),
        ({"height_range": (5, 9), "width_range": (1, None)}, (4, 10), False),
        ({"width_range": (1, None)}, (4, 6), False),
    ],
)
def test_size(sizes: dict[str, Any], size: tuple[int, int], fits: bool) -> None:
    picture = Image.new("RGB", size)
    if fits:
        assert tensor(picture, "RGB", **sizes).shape == (1, 3, size[1], size[0])
    else:
        with pytest.raises(ShapeError, match=f"found {size[0]} x {size[1]} pixels"):
            tensor(picture, "RGB", **sizes)


def test_the_error_names_every_size_that_fits() -> None:
    with pytest.raises(ShapeError, match="expected 4 x 5 or 8 x 10 pixels, width x height"):
        tensor(Image.new("RGB", (1, 1)), "RGB", sizes=((5, 4), (10, 8)))
    with pytest.raises(ShapeError, match="expected 1 or more x 2 to 9 pixels"):
        tensor(Image.new("RGB", (1, 1)), "RGB", height_range=(2, 9), width_range=(1, None))


def test_other_arrays_are_refused() -> None:
    for value in (GREY, np.zeros((2, 3, HEIGHT, WIDTH)), np.zeros(3), np.zeros((HEIGHT, WIDTH, 4))):
        with pytest.raises(ShapeError, match=r"expected a PIL image, \(H, W, 3\) in RGB order"):
            tensor(value, "RGB")
    with pytest.raises(FeatureTypeError):
        tensor("cat.png", "RGB")


def test_pixels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DtypeError):
        tensor(np.full((HEIGHT, WIDTH), 256), "GRAYSCALE", BY_NAME["uint8"])


@pytest.mark.parametrize("space", ["RGB", "BGR"])
def test_colour_outputs_are_rgba(space: str) -> None:
    planes = COLOUR.transpose(2, 0, 1)[None].astype(np.float32)
    image = tensor_to_image(planes, ImageFormat(HEIGHT, WIDTH, space), "out")
    assert (image.mode, image.size) == ("RGBA", (WIDTH, HEIGHT))
    pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels[:, :, 3], 255)
    expected = COLOUR if space == "RGB" else COLOUR[:, :, ::-1]
    np.testing.assert_array_equal(pixels[:, :, :3], expected)


def test_grey_outputs_are_rounded_and_limited() -> None:
    values = np.float32([[-1, 0.4, 0.6], [254.6, 300, np.nan], [np.inf, -np.inf, 7]])
    image = tensor_to_image(values, ImageFormat(3, 3, "GRAYSCALE"), "out")
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), [[0, 0, 1], [255, 255, 0], [255, 0, 7]])


def test_grey_fp16_outputs_keep_their_numbers() -> None:
    halves = np.float16([[[-1.5, 70, 0.25]]])
    image = tensor_to_image(halves, ImageFormat(1, 3, "GRAYSCALE_FLOAT16"), "out")
    assert image.mode == "F"
    np.testing.assert_array_equal(np.asarray(image), halves[0])


def test_an_output_with_other_channels_is_refused() -> None:
    with pytest.raises(DtypeError, match="declared as an image of 3 channel"):
        tensor_to_image(np.zeros((1, 2, 3, 3)), ImageFormat(3, 3, "RGB"), "out")
