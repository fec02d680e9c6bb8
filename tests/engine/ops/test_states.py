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


@pytest.mark.parametrize("shape", [(1,), (2, 3), (4, 5, 6)])
def test_a_state_that_is_never_written_stays_zero(shape: tuple[int, ...]) -> None:
    program = mil_function(
        {},
        lambda kept: mil_builder().read_state(input=kept),
        "iOS18",
        states={"kept": state_placeholder(shape)},
    )
    session = compile_function(to_program(program, "iOS18"))
    for _ in range(3):
        request = session.create_request()
        request.infer()
        request.infer()
        np.testing.assert_array_equal(request.output(0), np.zeros(shape, np.float16))


def test_a_state_that_is_never_read_keeps_what_was_written() -> None:
    x = np.arange(6, dtype=np.float16).reshape(2, 3)

    def build(x: Any, kept: Any) -> Any:
        return mil_builder().coreml_update_state(state=kept, value=x)

    program = mil_function({"x": x}, build, "iOS18", states={"kept": state_placeholder((2, 3))})
    request = compile_function(to_program(program, "iOS18")).create_request()
    for value in (x + 1, x):
        request.set_input(0, value)
        request.infer()
        np.testing.assert_array_equal(request.output(0), value)
        np.testing.assert_array_equal(request.read_state(0), value)


def test_a_state_that_is_not_used_is_zero() -> None:
    x = np.ones((2, 3), np.float16)
    program = mil_function(
        {"x": x},
        lambda x, kept: mil_builder().add(x=x, y=x),
        "iOS18",
        states={"kept": state_placeholder((2, 3))},
    )
    request = compile_function(to_program(program, "iOS18")).create_request()
    request.set_input(0, x)
    request.infer()
    np.testing.assert_array_equal(request.output(0), x + x)
    np.testing.assert_array_equal(request.read_state(0), x * 0)


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


def test_a_cache_that_is_full_takes_nothing_more() -> None:
    """A KV cache of two heads and four positions; one step further would be the second head's."""

    def build(row: Any, begin: Any, end: Any, cache: Any) -> Any:
        mil = mil_builder()
        held = mil.read_state(input=cache)
        after = mil.slice_update(x=held, update=row, begin=begin, end=end, name="grown")
        return mil.coreml_update_state(state=cache, value=after)

    inputs: dict[str, Any] = {
        "row": np.ones((1, 1, 2), np.float16),
        "begin": np.zeros(3, np.int32),
        "end": np.zeros(3, np.int32),
    }
    states = {"cache": state_placeholder((2, 4, 2))}
    session = compile_function(
        to_program(mil_function(inputs, build, "iOS18", states=states), "iOS18")
    )
    request = session.create_request()
    request.set_input(0, inputs["row"])
    for position in range(4):
        request.set_input(1, np.array([0, position, 0], np.int32))
        request.set_input(2, np.array([1, position + 1, 2], np.int32))
        request.infer()
    full = np.zeros((2, 4, 2), np.float16)
    full[0] = 1
    np.testing.assert_array_equal(request.read_state(0), full)
    request.set_input(1, np.array([0, 4, 0], np.int32))
    request.set_input(2, np.array([1, 5, 2], np.int32))
    with pytest.raises(RuntimeError) as failure:
        request.infer()
    assert "Node grown/slice_update_bounds" in str(session.failure(failure.value))
    np.testing.assert_array_equal(request.read_state(0), full)


def _runs(build: Any, inputs: dict[str, Any], steps: int) -> list[list[Any]]:
    """Run a program of one (2,) state ``steps`` times; returns the outputs of each."""
    program = mil_function(inputs, build, "iOS18", states={"total": state_placeholder((2,))})
    session = compile_function(to_program(program, "iOS18"), threads=1)
    request = session.create_request()
    for index, port in enumerate(session.inputs):
        request.set_input(index, np.asarray(inputs[port.name]))
    found = []
    for _ in range(steps):
        request.infer()
        found.append([request.output(i).copy() for i in range(len(session.outputs))])
    return found


@pytest.mark.parametrize("flag", [True, False])
def test_one_branch_writes_a_state(flag: bool) -> None:
    """A branch that writes, one that reads; the value is seen after the cond and kept."""
    x = np.array([1, 2], np.float16)

    def build(pred: Any, x: Any, total: Any) -> Any:
        mil = mil_builder()

        def yes() -> Any:
            after = mil.add(x=mil.read_state(input=total), y=x)
            return mil.mul(x=mil.coreml_update_state(state=total, value=after), y=np.float16(2))

        def no() -> Any:
            return mil.identity(x=mil.read_state(input=total))

        chosen = mil.cond(pred=pred, _true_fn=yes, _false_fn=no)
        return chosen, mil.identity(x=mil.read_state(input=total))

    inputs = {"pred": np.array(flag), "x": x}
    for step, (chosen, kept) in enumerate(_runs(build, inputs, 3), start=1):
        np.testing.assert_array_equal(chosen, 2 * step * x if flag else 0 * x)
        np.testing.assert_array_equal(kept, step * x if flag else 0 * x)


@pytest.mark.parametrize("limit", [4, 0])
def test_a_loop_writes_a_state(limit: int) -> None:
    """The state counts all iterations of all runs; the condition reads it as well."""
    x = np.array([1, 2], np.float16)

    def build(x: Any, bound: Any, total: Any) -> Any:
        mil = mil_builder()

        def condition(count: Any) -> Any:
            largest = mil.reduce_max(x=mil.read_state(input=total))
            is_small = mil.less(x=largest, y=np.float16(11))
            return mil.logical_and(x=mil.less(x=count, y=bound), y=is_small)

        def body(count: Any) -> Any:
            after = mil.add(x=mil.read_state(input=total), y=x)
            mil.coreml_update_state(state=total, value=after)
            return mil.add(x=count, y=np.int32(1))

        count = mil.while_loop(_cond=condition, _body=body, loop_vars=(np.int32(0),))
        return mil.identity(x=count), mil.identity(x=mil.read_state(input=total))

    total = np.zeros(2, np.float16)
    for count, kept in _runs(build, {"x": x, "bound": np.int32(limit)}, 3):
        steps = 0
        while steps < limit and total.max() < 11:
            total, steps = total + x, steps + 1
        assert count == steps
        np.testing.assert_array_equal(kept, total)


def test_a_cond_in_a_loop_writes_a_state() -> None:
    x = np.array([1, 2], np.float16)

    def build(x: Any, total: Any) -> Any:
        mil = mil_builder()

        def condition(count: Any) -> Any:
            return mil.less(x=count, y=np.int32(5))

        def body(count: Any) -> Any:
            def yes() -> Any:
                after = mil.add(x=mil.read_state(input=total), y=x)
                return mil.coreml_update_state(state=total, value=after)

            def no() -> Any:
                return mil.read_state(input=total)

            is_even = mil.equal(x=mil.mod(x=count, y=np.int32(2)), y=np.int32(0))
            mil.cond(pred=is_even, _true_fn=yes, _false_fn=no)
            return mil.add(x=count, y=np.int32(1))

        mil.while_loop(_cond=condition, _body=body, loop_vars=(np.int32(0),))
        return mil.identity(x=mil.read_state(input=total))

    for step, (kept,) in enumerate(_runs(build, {"x": x}, 2), start=1):
        np.testing.assert_array_equal(kept, 3 * step * x)
