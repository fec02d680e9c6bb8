"""MIL family ``states``: a running sum kept in a state, against Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import Session, compile_function
from etcoreml.errors import DtypeError, ShapeError
from etcoreml.types import FP16
from tests.cases import Case, mil_builder, mil_function, state_placeholder, to_program

# ``write_state`` is the serialised half of coreml_update_state.
CASES = (Case("read_state", {}), Case("write_state", {}))


def _accumulator() -> Session:
    """Return ``total`` (before) and ``total + x``, which it keeps."""

    def build(x: Any, total: Any) -> Any:
        mil = mil_builder()
        before = mil.read_state(input=total)
        after = mil.add(x=before, y=x)
        kept = mil.coreml_update_state(state=total, value=after)
        return mil.identity(x=before, name="before"), mil.identity(x=kept, name="after")

    x = np.zeros((2, 3), np.float16)
    program = mil_function({"x": x}, build, "iOS18", states={"total": state_placeholder((2, 3))})
    return compile_function(to_program(program, "iOS18"))


def test_state_is_kept_between_runs_and_reset() -> None:
    session = _accumulator()
    assert [port.name for port in session.inputs] == ["x"]
    request = session.create_request()
    x = np.arange(6, dtype=np.float16).reshape(2, 3)
    request.set_input(0, x)
    for step in range(1, 4):
        request.infer()
        np.testing.assert_array_equal(request.output(0), x * (step - 1))
        np.testing.assert_array_equal(request.output(1), x * step)
    request.reset_states()
    request.infer()
    np.testing.assert_array_equal(request.output(1), x)


def test_requests_have_states_of_their_own() -> None:
    session = _accumulator()
    ones = np.ones((2, 3), np.float16)
    first, second = session.create_request(), session.create_request()
    for request in (first, second):
        request.set_input(0, ones)
    first.infer()
    first.infer()
    second.infer()
    np.testing.assert_array_equal(first.output(1), ones * 2)
    np.testing.assert_array_equal(second.output(1), ones)


def test_states_are_read_and_written_between_runs() -> None:
    session = _accumulator()
    assert [(port.name, port.dtype, port.shape) for port in session.states] == [
        ("total", FP16, (2, 3))
    ]
    request = session.create_request()
    x = np.arange(6, dtype=np.float16).reshape(2, 3)
    request.set_input(0, x)
    np.testing.assert_array_equal(request.read_state(0), np.zeros((2, 3), np.float16))
    request.write_state(0, x * 10)
    np.testing.assert_array_equal(request.read_state(0), x * 10)
    request.infer()
    np.testing.assert_array_equal(request.output(0), x * 10)
    kept = request.read_state(0)
    assert kept.dtype == np.float16
    np.testing.assert_array_equal(kept, x * 11)
    kept[:] = 0  # a copy
    np.testing.assert_array_equal(request.read_state(0), x * 11)


def test_states_of_another_dtype_or_shape_are_refused() -> None:
    request = _accumulator().create_request()
    with pytest.raises(DtypeError, match="state 'total'; found fp32; expected fp16"):
        request.write_state(0, np.zeros((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"found shape \(3\); expected shape \(2, 3\)"):
        request.write_state(0, np.zeros(3, np.float16))
