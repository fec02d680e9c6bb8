"""MIL family ``control_flow``, lists, against Python's own lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from tests.cases import Case, integers, mil_builder, mil_function, normal, to_program

# Lists are neither inputs nor outputs of a function: built and checked below.
CASES = tuple(
    Case(f"{op}", {}, why="programs")
    for op in ("make_list", "list_length", "list_read", "list_gather", "list_write", "list_scatter")
)


def _run(inputs: dict[str, Any], build: Any) -> list[Any]:
    program = to_program(mil_function(inputs, build, "iOS15"), "iOS15")
    return list(compile_function(program).run(inputs).values())


def test_a_list_grows_with_writes() -> None:
    """Zeros at first; writes past the end leave zeros between."""

    def build(a: Any, b: Any, values: Any) -> Any:
        mil = mil_builder()
        empty = mil.make_list(init_length=2, elem_shape=(2,))
        one = mil.list_write(ls=empty, index=0, value=a)
        two = mil.list_write(ls=one, index=4, value=b)
        three = mil.list_scatter(ls=two, indices=[6, 1], value=values)
        return (
            mil.list_read(ls=empty, index=0),
            mil.list_read(ls=three, index=0),
            mil.list_gather(ls=three, indices=[4, 1, 3, 6]),
            mil.list_length(ls=three),
            mil.list_length(ls=one),
        )

    a, b, values = normal(2), normal(2, seed=1), normal(2, 2, seed=2)
    first, again, gathered, length, before = _run({"a": a, "b": b, "values": values}, build)
    np.testing.assert_array_equal(first, [0, 0])
    np.testing.assert_array_equal(again, a)
    np.testing.assert_array_equal(gathered, [b, values[1], [0, 0], values[0]])
    assert (length, before) == (7, 2)


def test_a_fixed_list_keeps_its_length() -> None:
    def build(a: Any) -> Any:
        mil = mil_builder()
        ls = mil.make_list(init_length=3, elem_shape=(2, 2), dynamic_length=False, dtype="int32")
        ls = mil.list_write(ls=ls, index=2, value=a)
        return mil.list_gather(ls=ls, indices=[2, 0])

    a = integers(-9, 9, 2, 2)
    (found,) = _run({"a": a}, build)
    np.testing.assert_array_equal(found, [a, np.zeros_like(a)])


@pytest.mark.parametrize("elem_shape", [(2,), ("k",)], ids=["known size", "size of the writes"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_loop_appends(elem_shape: Any, count: int) -> None:
    def build(update: Any, count: Any) -> Any:
        mil = mil_builder()

        def condition(i: Any, ls: Any) -> Any:
            del ls
            return mil.less(x=i, y=count)

        def body(i: Any, ls: Any) -> Any:
            value = mil.mul(x=update, y=mil.cast(x=i, dtype="fp32"))
            return mil.add(x=i, y=np.int32(1)), mil.list_write(ls=ls, index=i, value=value)

        start = mil.make_list(init_length=1, elem_shape=elem_shape)
        _, ls = mil.while_loop(_cond=condition, _body=body, loop_vars=(np.int32(0), start))
        length = mil.list_length(ls=ls)
        return length, mil.list_gather(ls=ls, indices=mil.range_1d(start=0, end=length, step=1))

    update = normal(2)
    length, rows = _run({"update": update, "count": np.int32(count)}, build)
    assert length == max(count, 1)
    if count:
        np.testing.assert_allclose(rows, [update * i for i in range(count)], 1e-6)


@pytest.mark.parametrize("flag", [True, False])
def test_a_branch_reads_and_returns_lists(flag: bool) -> None:
    def build(pred: Any, a: Any) -> Any:
        mil = mil_builder()
        ls = mil.list_write(ls=mil.make_list(init_length=1, elem_shape=(2,)), index=0, value=a)

        def yes() -> Any:
            return mil.list_write(ls=ls, index=2, value=mil.list_read(ls=ls, index=0))

        def no() -> Any:
            return mil.list_write(ls=ls, index=0, value=mil.relu(x=a))

        found = mil.cond(pred=pred, _true_fn=yes, _false_fn=no)
        return mil.list_read(ls=found, index=0), mil.list_length(ls=found)

    a = normal(2)
    first, length = _run({"pred": np.bool_(flag), "a": a}, build)
    np.testing.assert_array_equal(first, a if flag else np.maximum(a, 0))
    assert length == (3 if flag else 1)


def test_reads_beyond_the_ends_stand_for_the_nearest() -> None:
    def build(a: Any, index: Any) -> Any:
        mil = mil_builder()
        full = mil.list_write(ls=mil.make_list(init_length=1, elem_shape=(2,)), index=0, value=a)
        return mil.list_read(ls=full, index=index), mil.list_gather(ls=full, indices=[5, -7])

    a = normal(2)
    one, two = _run({"a": a, "index": np.array(3, np.int32)}, build)
    np.testing.assert_array_equal(one, a)
    np.testing.assert_array_equal(two, np.stack([a, a]))
