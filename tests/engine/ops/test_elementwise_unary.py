"""MIL family ``elementwise_unary`` against MIL's value inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from tests.cases import (
    Case,
    integers,
    mil_builder,
    mil_function,
    normal,
    numbers_of,
    to_program,
    uniform,
)

X = normal(2, 3, 5) * 2
POSITIVE = uniform(0.05, 9, 2, 3, 5)
UNIT = uniform(-0.95, 0.95, 2, 3, 5)
SCALAR = np.float32(0.25)
HALVES = np.array([-2.5, -1.5, -0.5, -0.2, 0.0, 0.5, 1.5, 2.5, 1e4], np.float32)
COUNTS = integers(-9, 9, 3, 4)
TRUTH = integers(0, 2, 3, 4).astype(bool)


def _truncate(x: np.ndarray, dtype: str) -> np.ndarray:
    del dtype
    return np.trunc(x).astype(np.int32)


CASES = (
    *(
        Case(op, {"x": x}, why=why)
        for op in ("abs", "ceil", "cos", "erf", "exp", "floor", "sign", "sin", "square", "tanh")
        for why, x in (("plain", X), ("rank 0", SCALAR))
        if (op, why) != ("erf", "rank 0")  # value inference returns no array there
    ),
    *(Case(op, {"x": UNIT}) for op in ("acos", "asin", "atanh", "tan")),
    *(Case(op, {"x": X}) for op in ("atan", "cosh", "sinh", "exp2")),
    *(Case(op, {"x": POSITIVE}) for op in ("sqrt", "rsqrt", "log", "inverse")),
    *(Case(op, {"x": COUNTS}, why="int32") for op in ("abs", "sign", "square")),
    Case("exp2", {"x": COUNTS + 9}, why="int32", expect=lambda x: 2**x),
    *(Case(op, {"x": HALVES}, why="halves") for op in ("round", "floor", "ceil")),
    Case("log", {"x": POSITIVE}, {"epsilon": 0.5}, why="epsilon"),
    Case("rsqrt", {"x": POSITIVE}, {"epsilon": 0.5}, why="epsilon"),
    Case("inverse", {"x": POSITIVE}, {"epsilon": 0.5}, why="epsilon"),
    Case("sqrt", {"x": np.array([0.0, 4.0, np.inf, np.nan], np.float32)}, why="edges"),
    Case("logical_not", {"x": TRUTH}),
    Case("threshold", {"x": X}, {"alpha": 0.5}),
    Case("threshold", {"x": COUNTS}, {"alpha": np.int32(2)}, why="int32"),
    Case("clip", {"x": X}, {"alpha": -0.5, "beta": 1.0}),
    Case("clip", {"x": X}, {"alpha": 1.0, "beta": -0.5}, why="bounds in the wrong order"),
    Case("cast", {"x": HALVES}, {"dtype": "int32"}, why="truncates", expect=_truncate),
    Case("cast", {"x": np.array([0.0, 0.3, -2.0], np.float32)}, {"dtype": "bool"}, why="to bool"),
    Case("cast", {"x": COUNTS}, {"dtype": "fp32"}, why="int32 to fp32"),
    Case("cast", {"x": COUNTS}, {"dtype": "bool"}, why="int32 to bool"),
    Case("cast", {"x": COUNTS}, {"dtype": "int8"}, why="int32 to int8", opset="iOS17"),
    Case("cast", {"x": abs(COUNTS)}, {"dtype": "uint16"}, why="int32 to uint16", opset="iOS17"),
    Case("cast", {"x": TRUTH}, {"dtype": "int32"}, why="bool to int32"),
    Case("cast", {"x": TRUTH}, {"dtype": "fp16"}, why="bool to fp16"),
    Case("cast", {"x": X}, {"dtype": "fp16"}, tolerance=1e-3, why="fp32 to fp16"),
)

test_numbers = numbers_of(CASES)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_narrow_integers_wrap_inside_a_program_too(dtype: str) -> None:
    """Oracle: NumPy."""
    edges = [0, 1, 127, 128, 255, 256, 300, 32767, 32768, 65535, 65536, 70000]
    x = np.array([*edges, *(-edge for edge in edges)], np.int32)

    def build(value: Any) -> Any:
        narrow = mil_builder().cast(x=value, dtype=dtype)
        return mil_builder().cast(x=narrow, dtype="fp32")

    program = to_program(mil_function({"x": x}, build, "iOS17"), "iOS17")
    (found,) = compile_function(program, threads=1).run({"x": x}).values()
    np.testing.assert_array_equal(found, x.astype(dtype).astype(np.float32))
