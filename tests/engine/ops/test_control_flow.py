"""MIL family ``control_flow`` against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cases import Case, integers, normal, numbers_of

COND = integers(0, 2, 3, 4).astype(bool)


def _select(cond: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(cond, a, b)


CASES = (
    Case("select", {"cond": COND, "a": normal(3, 4), "b": normal(3, 4, seed=1)}, expect=_select),
    Case(
        "select",
        {"cond": COND, "a": integers(0, 9, 3, 4), "b": integers(-9, 0, 3, 4)},
        why="int32",
        expect=_select,
    ),
    Case(
        "select",
        {"cond": COND, "a": normal(3, 4)},
        {"b": np.float32(-np.inf)},
        why="masking with -inf",
        expect=_select,
        varies=False,
    ),
)

test_numbers = numbers_of(CASES)
