"""MIL family ``control_flow`` against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import Session, compile_function
from tests.cases import (
    Case,
    integers,
    mil_builder,
    mil_function,
    normal,
    numbers_of,
    to_program,
)

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
NUMBERS = CASES
# Ops with blocks are built and checked below.
CASES = (*CASES, Case("cond", {}), Case("while_loop", {}))

test_numbers = numbers_of(NUMBERS)


def _session(inputs: dict[str, Any], build: Any) -> Session:
    return compile_function(to_program(mil_function(inputs, build, "iOS15"), "iOS15"))


@pytest.mark.parametrize("flag", [True, False])
def test_cond_runs_one_branch(flag: bool) -> None:
    """One outer value in both branches, one in a single branch, one constant, two results."""

    def build(pred: Any, x: Any, y: Any) -> Any:
        mil = mil_builder()
        shared = mil.mul(x=x, y=np.float32(3))

        def yes() -> Any:
            return mil.add(x=shared, y=np.float32(1)), mil.relu(x=x)

        def no() -> Any:
            return mil.sub(x=shared, y=y), mil.identity(x=y)

        return mil.cond(pred=pred, _true_fn=yes, _false_fn=no)

    x, y = normal(2, 3), normal(2, 3, seed=1)
    inputs = {"pred": np.bool_(False), "x": x, "y": y}
    session = _session(inputs, build)
    first, second = session.run({**inputs, "pred": np.array(flag)}).values()
    np.testing.assert_allclose(first, 3 * x + 1 if flag else 3 * x - y, 1e-6)
    np.testing.assert_allclose(second, np.maximum(x, 0) if flag else y, 1e-6)


@pytest.mark.parametrize("limit", [100.0, 0.0])
def test_while_loop_carries_values(limit: float) -> None:
    """Doubles until a sum passes the limit, counting; with limit 0 the body never runs."""

    def build(x: Any, bound: Any) -> Any:
        mil = mil_builder()

        def condition(value: Any, count: Any) -> Any:
            del count
            return mil.less(x=mil.reduce_sum(x=value), y=bound)

        def body(value: Any, count: Any) -> Any:
            return mil.mul(x=value, y=np.float32(2)), mil.add(x=count, y=np.int32(1))

        return mil.while_loop(_cond=condition, _body=body, loop_vars=(x, np.int32(0)))

    x = np.array([1.0, 2.0, 0.5], np.float32)
    session = _session({"x": x, "bound": np.float32(0)}, build)
    value, count = session.run({"x": x, "bound": np.array(limit, np.float32)}).values()
    steps = 0
    while x.sum() < limit:
        x, steps = x * 2, steps + 1
    np.testing.assert_array_equal(value, x)
    assert count == steps
