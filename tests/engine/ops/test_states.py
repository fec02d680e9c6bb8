"""MIL family ``states``: a running sum kept in a state, against Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from etcoreml.engine import Session, compile_function
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
