"""MIL family ``pool`` against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from tests.cases import Case, normal, numbers_of

MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVG = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def _ints(values: Any) -> list[int]:
    return [int(value) for value in values]


def _symmetric(pad: Any, spatial: int) -> list[int]:
    return [0] * spatial if pad is None else _ints(pad[0::2])


def _max(
    x: Any,
    kernel_sizes: Any,
    pad_type: str,
    strides: Any = None,
    pad: Any = None,
    ceil_mode: bool = False,
) -> Any:
    spatial = len(kernel_sizes)
    return MAX[spatial - 1](
        torch.from_numpy(x),
        _ints(kernel_sizes),
        [1] * spatial if strides is None else _ints(strides),
        _symmetric(pad, spatial),
        ceil_mode=bool(ceil_mode),
    ).numpy()


def _avg(
    x: Any,
    kernel_sizes: Any,
    pad_type: str,
    strides: Any = None,
    pad: Any = None,
    ceil_mode: bool = False,
    exclude_padding_from_average: bool = False,
) -> Any:
    spatial = len(kernel_sizes)
    return AVG[spatial - 1](
        torch.from_numpy(x),
        _ints(kernel_sizes),
        [1] * spatial if strides is None else _ints(strides),
        _symmetric(pad, spatial),
        ceil_mode=bool(ceil_mode),
        count_include_pad=not exclude_padding_from_average,
    ).numpy()


def _l2(x: Any, kernel_sizes: Any, **rest: Any) -> Any:
    return np.sqrt(_avg(x * x, kernel_sizes, **rest) * np.prod(kernel_sizes))


def _ceil_l2(
    x: Any, kernel_sizes: Any, pad_type: str, strides: Any, pad: Any, ceil_mode: Any
) -> Any:
    sums = F.avg_pool2d(
        torch.from_numpy(x * x),
        _ints(kernel_sizes),
        _ints(strides),
        _symmetric(pad, 2),
        ceil_mode=True,
        divisor_override=1,
    )
    return np.sqrt(sums.numpy())


def _same_max(x: Any, kernel_sizes: Any, pad_type: str, strides: Any) -> Any:
    """Kernel 3, stride 2: SAME pads one element, at the end."""
    padded = np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=-np.inf)
    return _max(padded, kernel_sizes, "valid", strides)


def _beyond(expect: Any, fill: float) -> Any:
    """Return the oracle for a height one short of the last window, which MIL counts."""

    def padded(x: Any, **rest: Any) -> Any:
        return expect(np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)], constant_values=fill), **rest)

    return padded


BEYOND = {
    "max_pool": _beyond(_max, -np.inf),
    "avg_pool": _beyond(_avg, 0),
    "l2_pool": _beyond(_ceil_l2, 0),
}


def _a(*values: int) -> Any:
    return np.array(values, np.int32)


X3, X4, X5 = normal(2, 3, 11), normal(2, 3, 9, 8), normal(1, 2, 5, 6, 4)
COMMON = (
    ("valid", X4, {"kernel_sizes": _a(2, 3), "pad_type": "valid"}),
    ("one dimension", X3, {"kernel_sizes": _a(3), "strides": _a(2), "pad_type": "valid"}),
    (
        "three dimensions",
        X5,
        {"kernel_sizes": _a(2, 2, 2), "strides": _a(2, 1, 2), "pad_type": "valid"},
    ),
    (
        "custom",
        X4,
        {
            "kernel_sizes": _a(3, 3),
            "strides": _a(2, 2),
            "pad_type": "custom",
            "pad": _a(1, 1, 1, 1),
        },
    ),
    (
        "ceil",
        X4,
        {
            "kernel_sizes": _a(2, 3),
            "strides": _a(2, 3),
            "pad_type": "custom",
            "pad": _a(1, 1, 1, 1),
            "ceil_mode": True,
        },
    ),
    (
        "ceil beyond the padding",
        normal(1, 2, 6, 8),
        {
            "kernel_sizes": _a(3, 3),
            "strides": _a(2, 3),
            "pad_type": "custom",
            "pad": _a(1, 1, 1, 1),
            "ceil_mode": True,
        },
    ),
    (
        "ceil without a window in the padding",
        normal(1, 2, 5, 7),
        {
            "kernel_sizes": _a(2, 2),
            "strides": _a(3, 2),
            "pad_type": "custom",
            "pad": _a(1, 1, 1, 1),
            "ceil_mode": True,
        },
    ),
)

FAR_DOWN = np.where(normal(2, 3, 9, 8) > 1.5, -3e4, -np.inf).astype(np.float32)
LEAST = np.full((1, 1, 4, 4), np.finfo(np.float32).min)

CASES = (
    *(Case("max_pool", {"x": x}, params, why=why, expect=_max) for why, x, params in COMMON),
    *(Case("avg_pool", {"x": x}, params, why=why, expect=_avg) for why, x, params in COMMON),
    *(
        Case(
            "avg_pool",
            {"x": x},
            {**params, "exclude_padding_from_average": True},
            why=f"{why} without padding",
            expect=_avg,
        )
        for why, x, params in COMMON
    ),
    *(Case("l2_pool", {"x": x}, params, why=why, expect=_l2) for why, x, params in COMMON[:2]),
    *(
        Case("l2_pool", {"x": abs(x) + 1}, params, why=why, expect=_ceil_l2)
        for why, x, params in COMMON[4:]
    ),
    Case(
        "avg_pool",
        {"x": X4},
        {"kernel_sizes": _a(2, 3), "pad_type": "Valid"},
        why="any case",
        expect=_avg,
    ),
    *(
        Case(
            "max_pool",
            {"x": FAR_DOWN},
            params,
            why=f"minus infinity, {why}",
            expect=_max,
        )
        for why, x, params in COMMON
        if x is X4
    ),
    Case(
        "max_pool",
        {"x": LEAST},
        {"kernel_sizes": _a(2, 2), "pad_type": "valid"},
        0,
        "the least finite number",
        _max,
        fp16=False,
    ),
    *(
        Case(
            name,
            {"x": normal(1, 2, 6, 7)},
            {
                "kernel_sizes": _a(1, 2),
                "strides": _a(3, 3),
                "pad_type": "custom",
                "pad": _a(0, 0, *side),
                "ceil_mode": True,
            },
            why=f"ceil, a window beyond the end, padding {side}",
            expect=expect,
            # Where sizes vary, MIL does not say how many windows there are; it is as in torch then.
            varies=False,
        )
        for name, expect in BEYOND.items()
        for side in ((0, 0), (1, 1))
    ),
    Case(
        "max_pool",
        {"x": normal(2, 3, 8, 6)},
        {"kernel_sizes": _a(3, 3), "strides": _a(2, 2), "pad_type": "same"},
        why="same",
        expect=_same_max,
    ),
)

test_numbers = numbers_of(CASES)
