"""MIL family ``image_resizing`` against the places its docstrings spell out, and torch."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from tests.cases import Case, normal, numbers_of

X = normal(2, 3, 5, 4)
MODES = (
    "STRICT_ALIGN_CORNERS",
    "ALIGN_CORNERS",
    "DEFAULT",
    "UNALIGN_CORNERS",
    "OFFSET_CORNERS",
)


def _place(mode: str, n: int, m: int, i: int) -> float:
    """Where sample ``i`` is taken: the formulas of resize_bilinear's docstring, one by one."""
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if m == 1:
            return (n - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0
        return i * (n - 1) / (m - 1)
    if mode == "DEFAULT":
        return i * (n - n / m) / (m - 1) if m > 1 else 0.0
    if mode == "UNALIGN_CORNERS":
        return i * n / m + 0.5 * n / m - 0.5
    delta = max(1, n - 1) / m
    return 0.5 * delta + i * delta


def _line(x: Any, axis: int, m: int, mode: str) -> Any:
    n = x.shape[axis]
    rows = []
    for i in range(m):
        place = min(n - 1, max(0.0, _place(mode, n, m, i)))
        low = int(np.floor(place))
        high = min(low + 1, n - 1)
        share = place - low
        rows.append(np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share)
    return np.stack(rows, axis)


def _resize_bilinear(
    x: Any, target_size_height: int, target_size_width: int, sampling_mode: str = "DEFAULT"
) -> Any:
    tall = _line(x, x.ndim - 2, int(target_size_height), sampling_mode)
    return _line(tall, x.ndim - 1, int(target_size_width), sampling_mode)


def _nearest(x: Any, target_size_height: int, target_size_width: int) -> Any:
    rows = np.arange(target_size_height) * x.shape[-2] // target_size_height
    columns = np.arange(target_size_width) * x.shape[-1] // target_size_width
    return x[..., rows, :][..., columns]


def _upsample_nearest(x: Any, scale_factor_height: float, scale_factor_width: float) -> Any:
    height = int(np.floor(np.float32(x.shape[-2]) * np.float32(scale_factor_height)))
    return _nearest(
        x, height, int(np.floor(np.float32(x.shape[-1]) * np.float32(scale_factor_width)))
    )


def _upsample_bilinear(
    x: Any,
    scale_factor_height: float,
    scale_factor_width: float,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Any:
    size = [
        int(np.floor(np.float32(x.shape[-2]) * np.float32(scale_factor_height))),
        int(np.floor(np.float32(x.shape[-1]) * np.float32(scale_factor_width))),
    ]
    if not align_corners and half_pixel_centers is False:
        return _resize_bilinear(x, size[0], size[1], "DEFAULT")
    return F.interpolate(
        torch.from_numpy(x), size=size, mode="bilinear", align_corners=bool(align_corners)
    ).numpy()


def _resize(
    x: Any,
    shape: Any,
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Any:
    sizes = np.ravel(shape)[len(shape) - int(resized_dims) :] if resized_dims else []
    for axis, size in enumerate(sizes, start=x.ndim - int(resized_dims)):
        count = int(size) or x.shape[axis]
        if interpolation_mode == "LINEAR":
            x = _line(x, axis, count, sampling_mode)
        else:
            x = np.take(x, _neighbours(sampling_mode, x.shape[axis], count), axis)
    return x


def _neighbours(mode: str, n: int, m: int) -> list[int]:
    """The sample nearest to each place, the upper of two, in exact fractions."""
    found = []
    for i in range(m):
        exact = {
            "DEFAULT": Fraction(i * n, m),
            "UNALIGN_CORNERS": Fraction((2 * i + 1) * n, 2 * m) - Fraction(1, 2),
            "OFFSET_CORNERS": Fraction((2 * i + 1) * max(1, n - 1), 2 * m),
            "ALIGN_CORNERS": Fraction(i * (n - 1), m - 1) if m > 1 else Fraction(n - 1, 2),
            "STRICT_ALIGN_CORNERS": Fraction(i * (n - 1), m - 1) if m > 1 else Fraction(0),
        }[mode]
        place = min(max(exact, Fraction(0)), Fraction(n - 1))
        found.append(floor(place + Fraction(1, 2)))
    return found


def _crop(x: Any, crop_height: Any, crop_width: Any) -> Any:
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def _a(*values: int) -> Any:
    return np.array(values, np.int32)


CASES = (
    Case("crop", {"x": X}, {"crop_height": _a(1, 2), "crop_width": _a(0, 1)}, expect=_crop),
    *(
        Case(
            "upsample_nearest_neighbor",
            {"x": X},
            {"scale_factor_height": height, "scale_factor_width": width},
            why=why,
            expect=_upsample_nearest,
            varies=False,
        )
        for why, height, width in (
            ("whole", np.int32(2), np.int32(3)),
            ("fractional", np.float32(1.5), np.float32(2.5)),
        )
    ),
    *(
        Case(
            op,
            {"x": normal(1, 1, 10, 15)},
            {
                "scale_factor_height": np.float32(0.7),
                "scale_factor_width": np.float32(1.4),
                **more,
            },
            why="a product that f32 rounds up to a whole number",
            expect=expect,
            varies=False,
        )
        for op, expect, more in (
            ("upsample_nearest_neighbor", _upsample_nearest, {}),
            ("upsample_bilinear", _upsample_bilinear, {"align_corners": False}),
        )
    ),
    Case(
        "upsample_nearest_neighbor",
        {"x": normal(3, 5, 4)},
        {"scale_factor_height": np.int32(2), "scale_factor_width": np.int32(2)},
        why="rank 3",
        expect=_upsample_nearest,
        varies=False,
    ),
    *(
        Case(
            "resize_nearest_neighbor",
            {"x": X},
            {"target_size_height": height, "target_size_width": width},
            why=why,
            expect=_nearest,
        )
        for why, height, width in (("larger", 8, 10), ("smaller", 3, 2))
    ),
    *(
        Case(
            "resize_nearest_neighbor",
            {"x": normal(1, 2, 14, 28)},
            {"target_size_height": height, "target_size_width": width},
            why=f"to {height} and {width}, at whole places",
            expect=_nearest,
        )
        for height, width in ((2, 2), (4, 8), (42, 49))
    ),
    *(
        Case(
            "upsample_bilinear",
            {"x": X},
            {
                "scale_factor_height": np.float32(2.5),
                "scale_factor_width": np.float32(2.0),
                **params,
            },
            why=why,
            expect=_upsample_bilinear,
            opset=opset,
            varies=False,
        )
        for why, params, opset in (
            ("corners", {"align_corners": True}, "iOS15"),
            ("half pixel", {"align_corners": False}, "iOS15"),
            ("asymmetric", {"align_corners": False, "half_pixel_centers": False}, "iOS16"),
        )
    ),
    *(
        Case(
            "resize_bilinear",
            {"x": X},
            {
                "target_size_height": height,
                "target_size_width": width,
                "sampling_mode": mode,
            },
            why=f"{mode} {height}x{width}",
            expect=_resize_bilinear,
        )
        for mode in MODES
        for height, width in ((9, 7), (3, 2), (1, 6))
    ),
    *(
        Case(
            "resize",
            {"x": X},
            {
                "shape": shape,
                "resized_dims": np.uint32(2),
                "interpolation_mode": mode,
                "sampling_mode": sampling,
            },
            why=why,
            expect=_resize,
            opset="iOS17",
            varies=False,
        )
        for why, shape, mode, sampling in (
            ("linear", _a(1, 8, 9), "LINEAR", "DEFAULT"),
            ("zero keeps", _a(0, 9), "LINEAR", "UNALIGN_CORNERS"),
            ("offset", _a(8, 9), "LINEAR", "OFFSET_CORNERS"),
            ("nearest", _a(8, 9), "NEAREST_NEIGHBOR", "DEFAULT"),
            ("nearest of ties", _a(12, 10), "NEAREST_NEIGHBOR", "DEFAULT"),
        )
    ),
    *(
        Case(
            "resize",
            {"x": x, "shape": shape},
            {
                "resized_dims": np.uint32(len(shape)),
                "interpolation_mode": mode,
                "sampling_mode": sampling,
            },
            why=f"{mode} {sampling} {len(shape)} computed sizes",
            expect=_resize,
            opset="iOS17",
            fp16=False,
        )
        for mode in ("LINEAR", "NEAREST_NEIGHBOR")
        for sampling in MODES
        for x, shape in ((X, _a(7, 0)), (X[0], _a(2, 1, 7)))
    ),
    *(
        Case(
            "resize",
            {"x": x},
            {
                "shape": shape,
                "resized_dims": np.uint32(count),
                "interpolation_mode": mode,
                "sampling_mode": sampling,
            },
            why=f"{mode} {sampling} last {count} of rank {x.ndim}",
            expect=_resize,
            opset="iOS17",
            varies=False,
        )
        for mode in ("LINEAR", "NEAREST_NEIGHBOR")
        for x, shape, count, sampling in (
            *((X, _a(3, 4, 0, 1), 4, sampling) for sampling in MODES),
            (normal(2, 3, 4, 5, 2), _a(1, 7, 3, 5), 3, "UNALIGN_CORNERS"),
            (X, _a(9, 9), 0, "DEFAULT"),
            (X[:, 0, 0], _a(6), 1, "OFFSET_CORNERS"),
        )
    ),
    *(
        Case(
            "resize",
            {"x": normal(1, 50000)} | ({"shape": size} if is_computed else {}),
            {
                "resized_dims": np.uint32(1),
                "interpolation_mode": mode,
                "sampling_mode": sampling,
                **({} if is_computed else {"shape": size}),
            },
            why=f"{mode} {sampling} i n beyond 32 bits{' computed' * is_computed}",
            expect=_resize,
            opset="iOS17",
            fp16=False,
            varies=is_computed,
        )
        for size in (_a(60000),)
        for is_computed in (False, True)
        for mode, samplings in (("LINEAR", ("OFFSET_CORNERS",)), ("NEAREST_NEIGHBOR", MODES))
        for sampling in samplings
    ),
    Case(
        "resize",
        {"x": normal(1, 1200000), "shape": _a(7)},
        {
            "resized_dims": np.uint32(1),
            "interpolation_mode": "NEAREST_NEIGHBOR",
            "sampling_mode": "UNALIGN_CORNERS",
        },
        why="few of many computed",
        expect=_resize,
        opset="iOS17",
        fp16=False,
        varies=False,
    ),
    *(
        Case(
            "resize",
            {"x": np.arange(20, dtype=np.int32).reshape(4, 5) + 2**24},
            {"shape": _a(8, 3), "resized_dims": np.uint32(2), "interpolation_mode": mode},
            why=f"int32 {mode}",
            expect=lambda x, **rest: _resize(x, **rest).astype(np.int32),
            opset="iOS17",
        )
        for mode in ("NEAREST_NEIGHBOR",)
    ),
    Case(
        "resize",
        {"x": np.arange(20, dtype=np.int32).reshape(4, 5) - 9},
        {"shape": _a(8, 3), "resized_dims": np.uint32(2)},
        why="int32 linear",
        expect=lambda x, **rest: np.trunc(_resize(x, **rest) + 0.0),
        opset="iOS17",
    ),
)

test_numbers = numbers_of(CASES)
