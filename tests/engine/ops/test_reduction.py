"""MIL family ``reduction`` against MIL's value inference, i.e. NumPy."""

from __future__ import annotations

import numpy as np

from tests.cases import Case, integers, normal, numbers_of, uniform

X = uniform(0.1, 2, 2, 3, 4)
SIGNED = normal(2, 3, 4)
I = integers(-9, 9, 2, 3, 4)  # noqa: E741
SUMS = (
    "reduce_l1_norm",
    "reduce_l2_norm",
    "reduce_log_sum",
    "reduce_log_sum_exp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "reduce_sum_square",
)

CASES = (
    *(
        Case(op, {"x": X}, {"axes": np.array(axes, np.int32), "keep_dims": keep}, why=why)
        for op in SUMS
        for axes, keep, why in (
            ([1], False, "one axis"),
            ([-1, 0], True, "two axes kept"),
            ([0, 1, 2], False, "to rank 0"),
        )
    ),
    *(Case(op, {"x": X}, {"keep_dims": True}, why="all axes by default") for op in SUMS),
    *(
        Case(op, {"x": X}, {"axes": np.zeros(0, np.int32), "keep_dims": keep}, why="no axes")
        for op in SUMS
        for keep in (False, True)
    ),
    *(
        Case(op, {"x": I}, {"axes": np.array([1], np.int32), "keep_dims": False}, why="int32")
        for op in ("reduce_max", "reduce_min", "reduce_sum", "reduce_sum_square")
    ),
    Case(
        "reduce_log_sum_exp",
        {"x": SIGNED * 200},
        {"axes": np.array([2], np.int32), "keep_dims": False},
        why="no overflow",
    ),
    *(
        Case(op, {"x": SIGNED}, {"axis": axis, "keep_dims": keep}, why=f"axis {axis} {keep}")
        for op in ("reduce_argmax", "reduce_argmin")
        for axis, keep in ((0, False), (1, True), (-1, False))
    ),
    *(
        Case(op, {"x": np.ones((2, 5), np.float32)}, {"axis": 1, "keep_dims": False}, why="ties")
        for op in ("reduce_argmax", "reduce_argmin")
    ),
    Case(
        "reduce_argmax",
        {"x": SIGNED},
        {"axis": 1, "keep_dims": False, "output_dtype": "uint16"},
        why="uint16",
        opset="iOS17",
    ),
)

test_numbers = numbers_of(CASES)
