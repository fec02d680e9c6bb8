"""MIL family ``image_resizing``, ops that sample: against torch and the docstrings' formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from tests.cases import Case, normal, numbers_of, uniform

X = normal(2, 3, 5, 4)
PADDINGS = ("constant", "border", "reflection", "symmetric")


def _pixel(image: Any, y: int, x: int, padding: str, value: float) -> Any:
    """One pixel ``(C,)`` of an image that goes on beyond its borders."""
    found = []
    for place, n in ((y, image.shape[1]), (x, image.shape[2])):
        if padding == "constant":
            if not 0 <= place < n:
                return np.full(image.shape[0], value)
            found.append(place)
        elif padding == "border":
            found.append(min(max(place, 0), n - 1))
        else:
            extended = np.pad(
                np.arange(n), 40, "reflect" if padding == "reflection" else "symmetric"
            )
            found.append(extended[place + 40])
    return image[:, found[0], found[1]]


def _inside(place: float, n: int, padding: str) -> float:
    """Reflect a place before the nearest pixel is taken, as torch's ``grid_sample`` does."""
    if padding not in ("reflection", "symmetric"):
        return place
    border = 0.0 if padding == "reflection" else 0.5
    period = max(2 * (n - 1 + 2 * border), 2)
    along = (place + border) % period
    return min(along, period - along) - border


def _at(image: Any, y: float, x: float, mode: str, padding: str, value: float) -> Any:
    if mode == "nearest":
        y, x = (_inside(*each, padding) for each in ((y, image.shape[1]), (x, image.shape[2])))
        return _pixel(image, int(np.rint(y)), int(np.rint(x)), padding, value)
    top, left = int(np.floor(y)), int(np.floor(x))
    return sum(
        _pixel(image, top + i, left + j, padding, value)
        * (y - top if i else 1 - (y - top))
        * (x - left if j else 1 - (x - left))
        for i in (0, 1)
        for j in (0, 1)
    )


def _resample(
    x: Any,
    coordinates: Any,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Any:
    low = {"normalized_minus_one_to_one": -1.0, "normalized_zero_to_one": 0.0}
    batch, height, width, _ = coordinates.shape
    result = np.zeros((batch, x.shape[1], height, width))
    for b, i, j in np.ndindex(batch, height, width):
        places = []
        for value, n in zip(coordinates[b, i, j], (x.shape[3], x.shape[2]), strict=True):
            place = float(value)
            if coordinates_mode in low:
                start = low[coordinates_mode]
                share = (place - start) / (1 - start)
                place = share * (n - 1) if align_corners else share * n - 0.5
            places.append(place)
        result[b, :, i, j] = _at(
            x[b], places[1], places[0], sampling_mode, padding_mode, float(padding_value)
        )
    return result


def _affine(
    x: Any, transform_matrix: Any, output_height: int, output_width: int, **options: Any
) -> Any:
    theta = torch.from_numpy(np.array(transform_matrix, np.float32).reshape(-1, 2, 3))
    size = [x.shape[0], x.shape[1], int(output_height), int(output_width)]
    corners = bool(options["align_corners"])
    grid = F.affine_grid(theta.expand(size[0], 2, 3), size, align_corners=corners)
    return F.grid_sample(
        torch.from_numpy(x), grid, "bilinear", "zeros", align_corners=corners
    ).numpy()


def _offset(mode: str, n: float, m: int, i: int) -> float:
    """The formulas of resize_bilinear's docstring for a side of ``n`` pixels."""
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if m == 1:
            return (n - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0
        return i * (n - 1) / (m - 1)
    if mode == "DEFAULT":
        place = i * (n - n / m) / (m - 1) if m > 1 else 0.0
    elif mode == "UNALIGN_CORNERS":
        place = i * n / m + 0.5 * n / m - 0.5
    else:
        delta = max(1, n - 1) / m
        place = 0.5 * delta + i * delta
    return min(n - 1, max(0.0, place))


def _crop_resize(
    x: Any,
    roi: Any = None,
    boxes: Any = None,
    box_indices: Any = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Any:
    table = np.asarray(boxes if roi is None else roi).reshape(
        len(boxes if roi is None else roi), -1
    )
    patches = []
    for number, row in enumerate(table):
        box = [float(v) for v in row[-4:]]
        if box_coordinate_mode.endswith("WIDTH_FIRST"):
            box = [box[1], box[0], box[3], box[2]]
        if box_coordinate_mode.startswith("CENTER"):
            y, x_, h, w = box
            box = [y - h / 2, x_ - w / 2, y + h / 2, x_ + w / 2]
        ends = np.array(box) * float(spatial_scale)
        if normalized_coordinates:
            ends *= np.array([x.shape[2] - 1, x.shape[3] - 1] * 2)
        if roi is None:
            images = [number if box_indices is None else int(box_indices[number])]
        else:
            images = [int(row[0])] if len(row) == 5 else list(range(len(x)))
        for image in images:
            patch = np.full((x.shape[1], target_height, target_width), float(pad_value))
            for i, j in np.ndindex(int(target_height), int(target_width)):
                y = ends[0] + _offset(sampling_mode, ends[2] - ends[0] + 1, target_height, i)
                at = ends[1] + _offset(sampling_mode, ends[3] - ends[1] + 1, target_width, j)
                if 0 <= y <= x.shape[2] - 1 and 0 <= at <= x.shape[3] - 1:
                    patch[:, i, j] = _at(x[image], y, at, "bilinear", "border", 0)
            patches.append(patch)
    stacked = np.stack(patches)
    return stacked if roi is None else stacked.reshape(len(table), -1, *stacked.shape[1:])


def _sampled(padding: str, mode: str, coordinates: str, corners: bool, value: float) -> Any:
    return {
        "sampling_mode": mode,
        "padding_mode": padding,
        "padding_value": np.float32(value),
        "coordinates_mode": coordinates,
        "align_corners": np.bool_(corners),
    }


AFFINE = _sampled("constant", "bilinear", "normalized_minus_one_to_one", True, 0.0)
SHRINK = np.array([[0.5, 0.2, 0.1, -0.1, 0.7, 0.3], [1, 0, 0, 0, 1, 0]], np.float32)
BOXES = np.array([[0.5, 0.25, 3.5, 2.0], [1, 1, 2, 3], [-1, 0, 4, 5]], np.float32)
MODES = (
    "STRICT_ALIGN_CORNERS",
    "ALIGN_CORNERS",
    "DEFAULT",
    "UNALIGN_CORNERS",
    "OFFSET_CORNERS",
)


def _target(height: int, width: int, **options: Any) -> Any:
    return {
        "target_height": np.int32(height),
        "target_width": np.int32(width),
        "box_coordinate_mode": "CORNERS_HEIGHT_FIRST",
        "sampling_mode": "ALIGN_CORNERS",
        **options,
    }


CASES = (
    *(
        Case(
            "resample",
            {"x": X, "coordinates": uniform(*places, 2, 6, 7, 2, seed=3)},
            _sampled(padding, mode, coordinates, corners, 1.5),
            tolerance=1e-4,
            why=f"{padding} {mode} {coordinates} {'corners' if corners else 'borders'}",
            expect=_resample,
            opset="iOS16",
            # Rounded coordinates fall on the other side of a pixel's border.
            fp16=False,
        )
        for padding in PADDINGS
        for mode in ("bilinear", "nearest")
        for coordinates, places, corners in (
            ("unnormalized", (-4, 8), False),
            ("normalized_minus_one_to_one", (-2, 2), True),
            ("normalized_zero_to_one", (-1, 2), False),
        )
    ),
    Case(
        "resample",
        {"x": X[:1], "coordinates": np.array([0, 1, 3, 4, -1, 2], np.int32).reshape(1, 1, 3, 2)},
        _sampled("constant", "bilinear", "unnormalized", True, -2.0),
        why="whole pixels",
        expect=_resample,
    ),
    Case(
        "resample",
        {"x": normal(1, 2, 1, 1), "coordinates": uniform(-1, 1, 1, 2, 2, 2)},
        _sampled("reflection", "nearest", "unnormalized", True, 0.0),
        why="one pixel",
        expect=_resample,
        opset="iOS16",
    ),
    *(
        Case(
            "resample",
            {
                "x": normal(1, 2, 2, 2),
                "coordinates": np.float32([-1, -2, -3.5, -1, 0, 0, 3.5, 1.25]).reshape(1, 2, 2, 2),
            },
            _sampled(padding, "nearest", "normalized_zero_to_one", False, -1.0),
            why=f"{padding}, half-way between pixels after reflection",
            expect=lambda x, coordinates, padding_mode, **_: F.grid_sample(
                torch.tensor(x),
                torch.tensor(coordinates) * 2 - 1,
                "nearest",
                "border" if padding_mode == "border" else "reflection",
                align_corners=False,
            ).numpy(),
            opset="iOS16",
        )
        for padding in ("border", "symmetric")
    ),
    *(
        Case(
            "affine",
            {"x": X, "transform_matrix": matrix},
            {"output_height": np.int32(height), "output_width": np.int32(width), **AFFINE},
            why=why,
            tolerance=1e-4,
            expect=_affine,
            fp16=False,
            varies=False,
        )
        for why, matrix, height, width in (
            ("one matrix", SHRINK[:1], 3, 6),
            ("a matrix per image", SHRINK, 5, 4),
        )
    ),
    Case(
        "affine",
        {"x": X, "transform_matrix": SHRINK},
        {"output_height": np.int32(5), "output_width": np.int32(4)}
        | {name: v.upper() if isinstance(v, str) else v for name, v in AFFINE.items()},
        why="modes in any case",
        tolerance=1e-4,
        expect=_affine,
        fp16=False,
        varies=False,
    ),
    *(
        Case(
            "crop_resize",
            {"x": X, "boxes": BOXES, "box_indices": np.array([1, 0, 1], np.int32)},
            _target(height, width, sampling_mode=mode, pad_value=np.float32(-3)),
            why=f"{mode} {height}x{width}",
            tolerance=1e-4,
            expect=_crop_resize,
            opset="iOS17",
            # coremltools cannot infer the type of a varying number of boxes.
            varies=False,
        )
        for mode in MODES
        for height, width in ((4, 3), (1, 2))
    ),
    *(
        Case(
            "crop_resize",
            {"x": X, "boxes": np.array(boxes, np.float32)},
            _target(3, 4, **options),
            why=why,
            tolerance=1e-4,
            expect=_crop_resize,
            opset="iOS17",
            fp16=False,
            varies=False,
        )
        for why, boxes, options in (
            ("box i of image i", [[0, 1, 3, 3], [1, 0, 4, 2]], {}),
            ("a single box", [[0, 1, 3, 3]], {"spatial_scale": np.float32(0.5)}),
            (
                "normalised",
                [[0, 0.25, 0.5, 1], [0.1, 0, 1, 0.5]],
                {"normalized_coordinates": np.bool_(True)},
            ),
            (
                "width first",
                [[0, 1, 3, 3], [1, 0, 2, 4]],
                {"box_coordinate_mode": "CORNERS_WIDTH_FIRST"},
            ),
            (
                "centres",
                [[2, 1.5, 2, 1], [2, 1, 3, 2]],
                {"box_coordinate_mode": "CENTER_SIZE_HEIGHT_FIRST"},
            ),
            (
                "centres, width first",
                [[1.5, 2, 1, 2], [1, 2, 2, 3]],
                {"box_coordinate_mode": "CENTER_SIZE_WIDTH_FIRST"},
            ),
            ("from the end to the start", [[3, 3, 0, 1], [4, 2, 1, 0]], {}),
        )
    ),
    Case(
        "crop_resize",
        {"x": X, "roi": BOXES.reshape(3, 1, 4, 1, 1)},
        _target(2, 3),
        why="every box of every image",
        tolerance=1e-4,
        expect=_crop_resize,
    ),
    Case(
        "crop_resize",
        {"x": X[:1], "roi": np.insert(BOXES, 0, 0, axis=1).reshape(3, 1, 5, 1, 1)},
        _target(2, 3, pad_value=np.float32(7)),
        why="numbered boxes",
        tolerance=1e-4,
        expect=_crop_resize,
        opset="iOS16",
        varies=False,
    ),
)

test_numbers = numbers_of(CASES)
