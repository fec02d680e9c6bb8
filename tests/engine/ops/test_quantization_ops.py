"""MIL family ``quantization_ops`` against the formulas of its docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import Case, integers, normal, numbers_of, uniform

X = normal(3, 4) * 3
SCALES = uniform(0.02, 0.1, 4)


def _quantize(
    input: Any, scale: Any, output_dtype: str, zero_point: Any = None, axis: Any = None
) -> Any:
    del axis  # the last one in every case, where vectors broadcast by themselves
    info = np.iinfo(output_dtype)
    offset = 0 if zero_point is None else np.asarray(zero_point, np.float32)
    return np.clip(np.round(input / scale) + offset, info.min, info.max)


def _dequantize(input: Any, scale: Any, zero_point: Any = None, axis: Any = None) -> Any:
    del axis
    offset = 0 if zero_point is None else np.asarray(zero_point, np.float32)
    return (input - offset) * scale


PER_CHANNEL = {"scale": SCALES, "axis": np.int32(1)}

CASES = (
    Case(
        "quantize",
        {"input": X},
        {"scale": np.float32(0.03125), "output_dtype": "int8"},
        why="per tensor",
        expect=_quantize,
        opset="iOS17",
    ),
    Case(
        "quantize",
        {"input": X},
        {
            **PER_CHANNEL,
            "zero_point": integers(0, 200, 4).astype(np.uint8),
            "output_dtype": "uint8",
        },
        why="per channel",
        expect=_quantize,
        opset="iOS17",
        fp16=False,  # a rounded scale moves values across a step
        varies=False,
    ),
    Case(
        "dequantize",
        {"input": integers(-128, 128, 3, 4).astype(np.int8)},
        {"scale": np.float32(0.05), "zero_point": np.int8(5)},
        why="per tensor",
        expect=_dequantize,
        opset="iOS17",
    ),
    Case(
        "dequantize",
        {"input": integers(0, 256, 3, 4).astype(np.uint8)},
        PER_CHANNEL,
        why="per channel",
        expect=_dequantize,
        opset="iOS17",
        varies=False,
    ),
)

test_numbers = numbers_of(CASES)
