"""MIL family ``elementwise_binary`` against MIL's value inference, i.e. NumPy."""

from __future__ import annotations

import numpy as np

from tests.cases import Case, integers, normal, numbers_of, uniform

X, Y = normal(2, 3, 4), normal(2, 3, 4, seed=1)
ROW = normal(4, seed=2)
SCALAR = np.float32(0.75)
POSITIVE = uniform(0.2, 3, 2, 3, 4)
COUNTS, J = integers(-50, 50, 2, 3, 4), integers(1, 9, 2, 3, 4, seed=1)
NEGATIVE = -J
LARGE = np.array([2**31 - 1, -(2**31) + 1, 16777217, -16777219, 100000007, 7], np.int32)
DIVISORS = np.array([2, 3, 1, 2, 10, -2], np.int32)
WHOLE = np.arange(-15000, 15000, 7, dtype=np.float32)
A, B = integers(0, 2, 2, 3).astype(bool), integers(0, 2, 2, 3, seed=1).astype(bool)

ARITHMETIC = ("add", "sub", "mul", "maximum", "minimum")
COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")

CASES = (
    *(
        Case(op, {"x": x, "y": y}, why=why)
        for op in (*ARITHMETIC, *COMPARISONS, "real_div")
        for why, x, y in (
            ("plain", X, Y),
            ("broadcast", X, ROW),
            ("rank 0", SCALAR, Y),
            ("equal operands", X, X),
        )
    ),
    *(
        Case(op, {"x": COUNTS, "y": J}, why="int32")
        for op in (*ARITHMETIC, *COMPARISONS, "floor_div", "mod")
    ),
    Case("floor_div", {"x": COUNTS, "y": NEGATIVE}, why="int32 negative divisor"),
    Case("mod", {"x": COUNTS, "y": NEGATIVE}, why="int32 negative divisor"),
    Case("floor_div", {"x": LARGE >> 7, "y": DIVISORS}, why="int32 of 24 bits"),
    Case("mod", {"x": LARGE >> 7, "y": DIVISORS}, why="int32 of 24 bits"),
    Case("add", {"x": LARGE, "y": -DIVISORS}, why="int32 beyond 24 bits", varies=False),
    Case("mul", {"x": LARGE // 8, "y": DIVISORS // 2}, why="int32 beyond 24 bits"),
    Case(
        "real_div",
        {"x": LARGE >> 7, "y": DIVISORS},
        why="int32 truncates",
        expect=lambda x, y: np.trunc(x / y),
    ),
    Case("floor_div", {"x": X * 9, "y": POSITIVE}, why="fp", fp16=False),
    *(
        Case(
            "floor_div",
            {"x": WHOLE},
            {"y": np.float32(y)},
            why=f"whole numbers by {y}",
            tolerance=0,
        )
        for y in (7, -13)
    ),
    Case("mod", {"x": X * 9, "y": POSITIVE}, why="fp", fp16=False),
    Case("mod", {"x": X * 9, "y": -POSITIVE}, why="fp negative divisor", fp16=False),
    Case("pow", {"x": POSITIVE, "y": Y}),
    Case("pow", {"x": X, "y": np.float32(2.0)}, why="square of negatives"),
    Case("pow", {"x": J, "y": np.array([3], np.int32)}, why="int32"),
    Case("pow", {"x": J}, {"y": np.int32(3)}, why="int32 of a constant of rank 0"),
    *(Case(op, {"x": A, "y": B}) for op in ("logical_and", "logical_or", "logical_xor")),
)

test_numbers = numbers_of(CASES)
