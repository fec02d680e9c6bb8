"""What a function is made of. Oracle: how the program was built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine.registry import TRANSLATORS
from etcoreml.mil import MilProgram
from etcoreml.runtime.operations import OperationCount, WeightCount, count_operations, count_weights
from tests.cases import mil_builder, mil_function, normal, to_program

WEIGHT = normal(8, 4)


@pytest.fixture(scope="module")
def program() -> MilProgram:
    def build(x: Any, flag: Any) -> Any:
        mil = mil_builder()
        y = mil.linear(x=x, weight=WEIGHT, bias=np.zeros(8, np.float32))
        y = mil.relu(x=y)
        return mil.cond(
            pred=flag,
            _true_fn=lambda: mil.relu(x=y),
            _false_fn=lambda: mil.mul(x=y, y=WEIGHT.astype(np.float32)[:1, :1]),
            name="y",
        )

    inputs = {"x": np.zeros((3, 4), np.float32), "flag": np.array(True)}
    return to_program(mil_function(inputs, build, "iOS17"), "iOS17")


def test_operations_of_nested_blocks_count(program: MilProgram) -> None:
    found = count_operations(program.functions["main"])
    assert found[0] == OperationCount("relu", 2, True)
    assert {each.type: each.count for each in found} == {
        "relu": 2,
        "linear": 1,
        "cond": 1,
        "mul": 1,
    }


def test_an_operation_without_a_translator(
    program: MilProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(TRANSLATORS, "linear")
    found = {each.type: each.runs_here for each in count_operations(program.functions["main"])}
    assert found == {"relu": True, "linear": False, "cond": True, "mul": True}


def test_weights_are_the_large_constants_and_shared_ones_count_once(program: MilProgram) -> None:
    function = program.functions["main"]
    expected = (WeightCount("fp32", 1, 32, 128),)
    assert count_weights([function]) == expected
    assert count_weights([function, function]) == expected
    assert count_weights([]) == ()
