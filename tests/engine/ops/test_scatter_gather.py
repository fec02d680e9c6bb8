"""MIL family ``scatter_gather`` against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.errors import EngineError
from etcoreml.mil.ct import coremltools
from tests.cases import Case, integers, normal, numbers_of, run, uniform

X = normal(4, 5, 6)
DATA = uniform(0.5, 2, 4, 5)
MODES = {
    "update": lambda old, new: new,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


def _a(*values: int) -> Any:
    return np.array(values, np.int32)


def _gather(x: Any, indices: Any, axis: int = 0, batch_dims: int = 0, **_: Any) -> Any:
    if not batch_dims:
        return np.take(x, indices, axis)
    return np.stack([np.take(a, i, axis - 1) for a, i in zip(x, indices, strict=True)])


def _along(x: Any, indices: Any, axis: int = 0, **_: Any) -> Any:
    return np.take_along_axis(x, indices, axis)


def _gather_nd(x: Any, indices: Any, batch_dims: int = 0, **_: Any) -> Any:
    if batch_dims:
        return np.stack([_gather_nd(a, i) for a, i in zip(x, indices, strict=True)])
    return x[tuple(np.moveaxis(indices, -1, 0))]


def _scatter(
    data: Any, indices: Any, updates: Any, axis: int = 0, mode: str = "add", **_: Any
) -> Any:
    y = np.moveaxis(data.copy(), axis, 0)
    for place, update in zip(indices, np.moveaxis(updates, axis, 0), strict=True):
        y[place] = MODES[mode](y[place], update)
    return np.moveaxis(y, 0, axis)


def _scatter_along(
    data: Any, indices: Any, updates: Any, axis: int = 0, mode: str = "add", **_: Any
) -> Any:
    y = data.copy()
    for place in np.ndindex(*indices.shape):
        target = list(place)
        target[axis] = indices[place]
        y[tuple(target)] = MODES[mode](y[tuple(target)], updates[place])
    return y


def _scatter_nd(data: Any, indices: Any, updates: Any, mode: str = "add", **_: Any) -> Any:
    y = data.copy()
    for place in np.ndindex(*indices.shape[:-1]):
        target = tuple(indices[place])
        y[target] = MODES[mode](y[target], updates[place])
    return y


TWICE = _a(0, 3, 0)
ONCE = _a(2, -4)

CASES = (
    *(
        Case("gather", {"x": X, "indices": indices}, {"axis": axis}, why=why, expect=_gather)
        for why, indices, axis in (
            ("vector", _a(3, 0, -1), 0),
            ("matrix", integers(-5, 5, 2, 3), 1),
            ("scalar", np.int32(2), -1),
        )
    ),
    Case("gather", {"x": integers(0, 99, 7), "indices": _a(6, -7)}, why="int32", expect=_gather),
    Case(
        "gather",
        {"x": X, "indices": integers(-5, 5, 4, 3)},
        {"axis": 1, "batch_dims": 1},
        why="batch",
        expect=_gather,
        opset="iOS16",
        varies=False,
    ),
    Case(
        "gather",
        {"x": normal(1, 3), "indices": _a(2, 0, -3).reshape(1, 3)},
        {"axis": 1, "batch_dims": 1},
        why="small batch",
        expect=_gather,
        opset="iOS16",
        varies=False,
    ),
    Case(
        "gather",
        {"x": X, "indices": _a(1, 2)},
        {"axis": 0, "validate_indices": False},
        why="iOS17",
        expect=_gather,
        opset="iOS17",
    ),
    *(
        Case(
            "gather_along_axis",
            {"x": X, "indices": indices},
            {"axis": axis},
            why=f"axis {axis}",
            expect=_along,
            varies=False,
        )
        for indices, axis in ((integers(-4, 4, 2, 5, 6), 0), (integers(-6, 6, 4, 5, 3), -1))
    ),
    Case("gather_nd", {"x": X, "indices": integers(-4, 4, 3, 2)}, expect=_gather_nd, varies=False),
    Case(
        "gather_nd",
        {"x": X, "indices": integers(-5, 5, 4, 3, 1)},
        {"batch_dims": 1},
        why="batch",
        expect=_gather_nd,
        opset="iOS16",
        varies=False,
    ),
    *(
        Case(
            "scatter",
            {
                "data": DATA,
                "indices": ONCE if mode == "update" else TWICE,
                "updates": uniform(0.5, 2, 2 if mode == "update" else 3, 5),
            },
            {"axis": 0, "mode": mode},
            why=mode,
            expect=_scatter,
            varies=False,
        )
        for mode in MODES
    ),
    Case(
        "scatter",
        {"data": X, "indices": _a(1, 4), "updates": normal(4, 2, 6)},
        {"axis": -2, "mode": "update"},
        why="inner axis",
        expect=_scatter,
        varies=False,
    ),
    *(
        Case(
            "scatter_along_axis",
            {
                "data": DATA,
                "indices": np.array([[0, 1, -1, 2, 2], [1, 0, 0, 0, -3]], np.int32),
                "updates": uniform(0.5, 2, 2, 5),
            },
            {"axis": 0, "mode": mode},
            why=mode,
            expect=_scatter_along,
            varies=False,
        )
        for mode in MODES
    ),
    *(
        Case(
            "scatter_nd",
            {
                "data": DATA,
                "indices": np.array([[0, 1], [-1, 2]] + [[0, 1]] * (mode != "update"), np.int32),
                "updates": uniform(0.5, 2, 2 + (mode != "update")),
            },
            {"mode": mode},
            why=mode,
            expect=_scatter_nd,
            varies=False,
        )
        for mode in MODES
    ),
    Case(
        "scatter_nd",
        {"data": DATA, "indices": np.array([[3], [0]], np.int32), "updates": normal(2, 5)},
        {"mode": "update"},
        why="rows",
        expect=_scatter_nd,
        varies=False,
    ),
)

test_numbers = numbers_of(CASES)


OUTSIDE = _a(3, -4, 100000, 2**31 - 1, -(2**31), 1)
NEAREST = _a(2, 0, 2, 2, 0, 1)
ROWS = uniform(1, 9, 3, 2)
KINDS = ("gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd")


def _addressed(op: str, rows: Any, validates: bool = False) -> Case:
    """Read or add to some of three rows."""
    along = np.stack([rows, rows], 1)
    indices = {"gather": rows, "scatter": rows, "gather_nd": rows[:, None]}
    data = {"x" if op.startswith("gather") else "data": ROWS}
    if op.startswith("scatter"):
        data["updates"] = np.ones((rows.size, 2), np.float32)
    place = rows[:, None] if op.endswith("nd") else indices.get(op, along)
    params = {"validate_indices": True} if validates else {}
    return Case(op, data | {"indices": place}, params, opset="iOS17")


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("op", KINDS)
def test_indices_out_of_range_stand_for_the_nearest(op: str, varies: bool) -> None:
    """Oracle: the same op with indices clipped by hand. MIL says "undefined but memory safe"."""
    # Which sizes may vary is limited by coremltools' own checks of these ops.
    first = "x" if op.startswith("gather") else "data"
    labels = {"indices": {0: "n"}, "updates": {0: "n"}, first: {0: "rows"}} if varies else False
    if op == "scatter_along_axis":
        labels = {"indices": {0: "n"}, "updates": {0: "n"}} if varies else False
    (found,), _ = run(_addressed(op, OUTSIDE), varies=labels)
    (truth,), _ = run(_addressed(op, NEAREST), varies=labels)
    np.testing.assert_array_equal(found, truth)
    assert found.any()


@pytest.mark.parametrize("index", [3, -1, 2**31 - 1])
@pytest.mark.parametrize("op", KINDS)
def test_validated_indices_fail_when_the_model_runs(op: str, index: int) -> None:
    (found,), _ = run(_addressed(op, _a(2, 0), validates=True))
    (truth,), _ = run(_addressed(op, _a(2, 0)))
    np.testing.assert_array_equal(found, truth)
    with pytest.raises(EngineError, match=rf"Node {op}_\d+/validate_indices"):
        run(_addressed(op, _a(2, index), validates=True))


@pytest.mark.parametrize("op", KINDS)
def test_validated_constants_fail_when_the_model_is_loaded(
    op: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """coremltools would not even build this program, but a file may hold it."""
    coremltools()
    from coremltools.converters.mil.mil.ops.defs.iOS17 import (  # noqa: TID251 - to be disabled
        scatter_gather,
    )

    kind = getattr(scatter_gather, op)
    monkeypatch.setattr(kind, "type_inference", kind.__base__.type_inference)
    case = _addressed(op, _a(1, 3), validates=True)
    inputs = {name: value for name, value in case.inputs.items() if name != "indices"}
    params = dict(case.params) | {"indices": case.inputs["indices"]}
    message = rf"'{op}' \({op}_\d+\): parameter 'indices' is out of range.*found 3"
    with pytest.raises(EngineError, match=message):
        run(Case(op, inputs, params, opset="iOS17"))


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("op", KINDS)
def test_no_elements_to_index(op: str, varies: bool) -> None:
    """NumPy refuses it too; OpenVINO read any memory, or ended the process."""
    case = _addressed(op, _a(0, 1))
    first = "x" if op.startswith("gather") else "data"
    empty = Case(op, dict(case.inputs) | {first: ROWS[:0]}, case.params, opset="iOS17")
    message = f"Node {op}_[0-9]+/something_to_index" if varies else "there is nothing to index"
    with pytest.raises(EngineError, match=message):
        run(empty, varies={first: {0: "rows"}} if varies else False)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("op", ["gather", "gather_nd"])
def test_no_indices_into_no_elements(op: str, varies: bool) -> None:
    case = _addressed(op, _a())
    inputs = dict(case.inputs) | {"x": ROWS[:0]}
    labels = {"x": {0: "rows"}, "indices": {0: "n"}} if varies else False
    (found,), _ = run(Case(op, inputs, case.params, opset="iOS17"), varies=labels)
    assert found.shape == (0, 2)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0)])
def test_no_indices_of_any_shape_into_no_elements(shape: tuple[int, ...], varies: bool) -> None:
    """The kernel divided by the size, which ended the process."""
    inputs = {"x": ROWS[:0], "indices": np.zeros(shape, np.int32)}
    labels = {"x": {0: "rows"}} if varies else False
    (found,), _ = run(Case("gather", inputs, {"axis": 0}, opset="iOS17"), varies=labels)
    assert found.shape == (*shape, 2)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("op", ["scatter", "scatter_along_axis", "scatter_nd"])
def test_nothing_scattered_into_no_elements(op: str, varies: bool) -> None:
    """The kernel divided by the size, which ended the process."""
    case = _addressed(op, _a())
    updates = np.zeros((0, 2), np.float32)
    inputs = dict(case.inputs) | {"data": ROWS[:0], "updates": updates}
    labels = {"data": {0: "rows"}} if varies else False
    (found,), _ = run(Case(op, inputs, case.params, opset="iOS17"), varies=labels)
    assert found.shape == (0, 2)
