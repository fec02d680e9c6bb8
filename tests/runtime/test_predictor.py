"""Predictions by name, apart from files: ``FunctionPredictor``. Oracle: NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from etcoreml.errors import FeatureNameError, ModelError
from etcoreml.mil import Feature, ImageFormat, Signature
from etcoreml.runtime.predictor import FunctionPredictor, check_names
from etcoreml.types import FP32
from tests.cases import mil_builder, mil_function, to_program


def adder(signature: Signature) -> FunctionPredictor:
    def build(x: Any, y: Any) -> Any:
        return mil_builder().add(x=x, y=y, name="total")

    zeros = np.zeros((2, 3), np.float32)
    program = to_program(mil_function({"x": zeros, "y": zeros}, build, "iOS15"), "iOS15")
    return FunctionPredictor(compile_function(program), signature)


def test_a_program_without_descriptions_describes_itself() -> None:
    found = adder(Signature((), ())).predict({"x": np.ones((2, 3)), "y": [[1, 2, 3], [4, 5, 6]]})
    assert found["total"].tolist() == [[2, 3, 4], [5, 6, 7]]


def test_optional_inputs_and_order() -> None:
    y = Feature("y", "multiArray", FP32, (2, 3), optional=True, default=4.0)
    predictor = adder(Signature((y,), ()))
    assert predictor.devices[-1] == "CPU"
    assert (predictor.predict({"x": np.zeros((2, 3))})["total"] == 4).all()
    with pytest.raises(FeatureNameError, match=r"'x' is missing; found \[\]; expected \['x'\]"):
        predictor.predict({})


def test_a_failed_call_leaves_the_next_one_alone() -> None:
    predictor = adder(Signature((), ()))
    good = {"x": np.ones((2, 3)), "y": np.ones((2, 3))}
    for bad in ({"x": np.ones((2, 3)), "y": np.ones(3)}, {"x": np.ones((2, 3))}):
        with pytest.raises(Exception, match="y"):
            predictor.predict(bad)
        assert (predictor.predict(good)["total"] == 2).all()


def test_an_image_of_no_known_color_space_is_refused_at_once() -> None:
    x = Feature("x", "image", image=ImageFormat(2, 3, "INVALID"))
    with pytest.raises(ModelError, match=r"no known color space; found INVALID"):
        adder(Signature((x,), ()))


def test_check_names() -> None:
    check_names({"a": 1}, ["a", "b"])
    with pytest.raises(FeatureNameError, match=r"no input '3'; expected one of \['a'\]"):
        check_names({3: 1}, ["a"])  # type: ignore[dict-item]
