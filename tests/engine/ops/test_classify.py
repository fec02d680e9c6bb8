"""MIL family ``classify`` against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from etcoreml.errors import ShapeError
from tests.cases import Case, mil_builder, mil_function, mil_list, to_program

# Its outputs are no tensors: built and checked below.
CASES = (Case("classify", {}, why="labels"),)


@pytest.mark.parametrize(
    "labels", [["cat", "dog", "fish"], [np.int64(-7), np.int64(0), np.int64(2**40)]]
)
def test_label_and_probabilities(labels: list[Any]) -> None:
    def build(x: Any) -> Any:
        mil = mil_builder()
        return mil.classify(probabilities=x, classes=mil.const(val=mil_list(labels)))

    x = np.array([[0.25, 0.5, 0.125]], np.float32)
    program = to_program(mil_function({"x": x}, build, "iOS15"), "iOS15")
    session = compile_function(program)
    label, probabilities = session.run({"x": x}).values()
    assert label == labels[1]
    assert type(label) is type(labels[1]) or isinstance(label, int)
    assert probabilities == dict(zip(labels, [0.25, 0.5, 0.125], strict=True))
    # The first of equals wins.
    assert next(iter(session.run({"x": np.ones_like(x)}).values())) == labels[0]


def test_several_samples_have_no_label() -> None:
    def build(x: Any) -> Any:
        mil = mil_builder()
        return mil.classify(probabilities=x, classes=mil.const(val=mil_list(["a", "b"])))

    x = np.array([[0.25, 0.5]], np.float32)
    program = to_program(mil_function({"x": x}, build, "iOS15", varies=True), "iOS15")
    session = compile_function(program)
    assert next(iter(session.run({"x": x}).values())) == "b"
    with pytest.raises(ShapeError, match=r"found 4 of them; expected 2 labels"):
        session.run({"x": np.concatenate([x, x])})
