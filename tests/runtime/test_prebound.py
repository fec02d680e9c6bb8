"""Calls whose arrays are bound once. Oracle: ``predict`` of the same model."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from etcoreml import MLModel
from etcoreml.engine import compile_function
from etcoreml.errors import (
    DtypeError,
    EngineError,
    FeatureNameError,
    FeatureTypeError,
    ShapeError,
    UsageError,
)
from etcoreml.mil.features import Signature
from etcoreml.runtime.prebound import BoundCall
from etcoreml.runtime.predictor import FunctionPredictor
from tests import mlmodels
from tests.cases import mil_builder, mil_function, normal, to_program


def test_inputs_are_read_and_outputs_written_in_place(linear_package: Path) -> None:
    model = MLModel(linear_package)
    x, y = normal(2, 24), np.zeros((2, 32), np.float32)
    bound = model.bind({"x": x}, {"y": y})
    for seed in (0, 1, 2):
        x[...] = normal(2, 24, seed=seed)
        bound()
        expected = model.predict({"x": x})
        np.testing.assert_array_equal(y, expected["y"])
        np.testing.assert_array_equal(bound.read("z"), expected["z"])
    assert bound.outputs["y"] is y
    assert set(bound.outputs) == {"y", "z"}
    assert bound.inputs["x"] is x


def test_outputs_of_varying_shape_are_read_afterwards(tmp_path: Path) -> None:
    model = MLModel(mlmodels.flexible_total(tmp_path / "flexible.mlpackage"))
    x, y = normal(5, 1), normal(1, 2)
    bound = model.bind({"x": x, "y": y})
    assert dict(bound.outputs) == {}
    bound()
    np.testing.assert_allclose(bound.read("sum"), x + 2 * y, rtol=1e-6)


def test_a_run_that_fails_is_an_error_of_ours() -> None:
    inputs = {"x": normal(3, 2), "indices": np.array([3], np.int32)}
    build = functools.partial(mil_builder().gather, validate_indices=True)
    program = to_program(
        mil_function(inputs, lambda x, indices: build(x=x, indices=indices), "iOS17"), "iOS17"
    )
    session = compile_function(program)
    with pytest.raises(EngineError, match="failed while it ran"):
        BoundCall(session, inputs, None)()
    with pytest.raises(EngineError, match="failed while it ran"):
        FunctionPredictor(session, Signature((), ())).predict(inputs)


def test_states_are_the_calls_own(counter_package: Path) -> None:
    model = MLModel(counter_package)
    x = np.ones((2, 3), np.float16)
    first, second = model.bind({"x": x}), model.bind({"x": x})
    for _ in range(3):
        first()
    second()
    assert (first.read("sum") == 3).all()
    assert (second.read("sum") == 1).all()


def test_what_cannot_be_bound(linear_package: Path) -> None:
    model = MLModel(linear_package)
    x = normal(2, 24)
    with pytest.raises(FeatureNameError, match="no input 'w'"):
        model.bind({"x": x, "w": x})
    with pytest.raises(FeatureNameError, match="input 'x' is not bound"):
        model.bind({})
    with pytest.raises(FeatureNameError, match="no output 'w'"):
        model.bind({"x": x}, {"w": x})
    with pytest.raises(DtypeError, match="input 'x'; found fp64; expected fp32"):
        model.bind({"x": x.astype(np.float64)})
    with pytest.raises(ShapeError, match="output 'y'"):
        model.bind({"x": x}, {"y": np.zeros((2, 31), np.float32)})
    with pytest.raises(FeatureTypeError, match="bind takes a dictionary of inputs; found list"):
        model.bind([x])  # type: ignore[arg-type]
    with pytest.raises(FeatureTypeError, match="bind takes a dictionary of outputs; found ndarray"):
        model.bind({"x": x}, x)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="found list; expected a NumPy array, fp32"):
        model.bind({"x": x.tolist()})
    with pytest.raises(FeatureNameError, match="no output 'w'"):
        model.bind({"x": x}).read("w")
