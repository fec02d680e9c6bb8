"""What a stateful model remembers. Oracle: NumPy."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from etcoreml import MLModel, MLState
from etcoreml.errors import DtypeError, FeatureTypeError, ShapeError, StateError

X = np.float16([[1, 2, 3], [4, 5, 6]])


@pytest.fixture(scope="module")
def model(counter_package: Path) -> MLModel:
    return MLModel(counter_package)


def test_zeros_at_first_then_what_was_written(model: MLModel) -> None:
    state = model.make_state()
    assert isinstance(state, MLState)
    np.testing.assert_array_equal(state.read_state("total"), np.zeros((2, 3)))
    state.write_state(name="total", value=X.astype(np.float64) * 10)
    np.testing.assert_array_equal(state.read_state(name="total"), X * 10)
    assert state.read_state("total").dtype == np.float32  # as coremltools gives fp16
    np.testing.assert_array_equal(model.predict({"x": X}, state)["sum"], X * 11)
    np.testing.assert_array_equal(state.read_state("total"), X * 11)


def test_what_is_written_is_rounded_as_it_is_stored(model: MLModel) -> None:
    state = model.make_state()
    state.write_state("total", np.full((2, 3), 1 / 3))
    np.testing.assert_array_equal(state.read_state("total"), np.float16(1 / 3))
    with pytest.raises(DtypeError, match=r"fp64 with 1000000\.0; expected numbers up to 65504"):
        state.write_state("total", np.full((2, 3), 1e6))
    np.testing.assert_array_equal(state.read_state("total"), np.float16(1 / 3))


def test_refusals(model: MLModel) -> None:
    state = model.make_state()
    for call in (lambda: state.read_state("sum"), lambda: state.write_state("sum", X)):
        with pytest.raises(StateError, match=r"no state 'sum'; expected one of \['total'\]"):
            call()
    with pytest.raises(ShapeError, match=r"found shape \(3,\); expected shape \(2, 3\)"):
        state.write_state("total", [1, 2, 3])
    with pytest.raises(FeatureTypeError, match="state 'total' is no array"):
        state.write_state("total", "zeros")
    with pytest.raises((DtypeError, FeatureTypeError)):
        state.write_state("total", X + 1j)
    assert "total fp16 (2, 3)" in repr(state)


def test_predictions_with_one_state_take_turns(model: MLModel) -> None:
    state = model.make_state()
    ones = np.ones((2, 3), np.float16)

    def work() -> None:
        for _ in range(25):
            model.predict({"x": ones}, state)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(state.read_state("total"), np.full((2, 3), 100))
