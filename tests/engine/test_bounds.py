"""Ranges of outputs from ranges of inputs. Oracle: arithmetic on the sizes, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine.bounds import output_ranges
from etcoreml.errors import EngineError
from etcoreml.mil.program import Function
from tests.cases import mil_builder, mil_function, to_program


def program(build: Any, **inputs: np.ndarray[Any, Any]) -> Function:
    varies = {name: {i: f"{name}{i}" for i in range(x.ndim)} for name, x in inputs.items()}
    return to_program(mil_function(inputs, build, "iOS17", varies), "iOS17").function()


def the_ranges(function: Function, **inputs: Any) -> Any:
    (found,) = output_ranges(function, inputs).values()
    return found


def test_sums_and_products_of_sizes() -> None:
    mb = mil_builder()
    x = np.zeros((2, 3), np.float32)
    joined = program(lambda x, y: mb.concat(values=[x, y], axis=0), x=x, y=x)
    assert the_ranges(joined, x=((1, 4), (3, 3)), y=((2, 5), (3, 3))) == ((3, 9), (3, 3))
    flat = program(lambda x: mb.reshape(x=x, shape=[-1]), x=x)
    assert the_ranges(flat, x=((1, 4), (2, 3))) == ((2, 12),)
    assert the_ranges(flat, x=((4, 4), (3, 3))) == ((12, 12),)


def test_values_that_decide_sizes() -> None:
    mb = mil_builder()
    found = program(lambda x: mb.non_zero(x=x), x=np.zeros((2, 3), np.float32))
    assert the_ranges(found, x=((2, 2), (3, 3))) == ((0, 6), (2, 2))


def test_no_limit() -> None:
    mb = mil_builder()
    doubled = program(lambda x: mb.concat(values=[x, x], axis=1), x=np.zeros((2, 3), np.float32))
    assert the_ranges(doubled, x=((1, None), (1, 2))) == ((1, None), (2, 4))


def test_sizes_that_cannot_be() -> None:
    mb = mil_builder()
    x = np.zeros((2, 3), np.float32)
    function = program(lambda x, y: mb.concat(values=[x, y], axis=0), x=x, y=x)
    with pytest.raises(EngineError, match="does not take inputs of these sizes"):
        output_ranges(function, {"x": ((1, 1), (3, 3)), "y": ((1, 1), (4, 4))})
