"""Features to ports and back: shapes, defaults, outputs. Oracle: NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import Port
from etcoreml.errors import ShapeError
from etcoreml.mil import Feature
from etcoreml.runtime.features import default_array, described, input_array, output_value
from etcoreml.types import FP16, FP32, INT32

FIXED = Port("x", FP32, (1, 3))
OPEN = Port("x", FP32, (None, 3))


def feature(**details: Any) -> Feature:
    return Feature("x", "multiArray", **{"dtype": FP32, "shape": (1, 3), **details})


def test_an_array_is_taken_as_it_is() -> None:
    array = np.ones((1, 3), np.float32)
    assert input_array(feature(), FIXED, array) is array
    strided = np.ones((3, 1), np.float32).T[:, ::1][:, ::-1]
    assert input_array(feature(), FIXED, strided).flags.c_contiguous


def test_a_number_fits_where_every_dimension_may_be_1() -> None:
    assert input_array(feature(shape=(1, 1)), Port("x", FP32, (1, None)), 2.5).tolist() == [[2.5]]
    assert input_array(feature(shape=()), Port("x", INT32, ()), 7).shape == ()
    with pytest.raises(ShapeError, match=r"found shape \(1, 1\); expected shape \(1, 3\)"):
        input_array(feature(), FIXED, 1.0)


@pytest.mark.parametrize(
    ("details", "shape", "expected"),
    [
        ({}, (1, 4), "(any, 3)"),
        ({"enumerated": ((1, 3), (4, 3))}, (2, 3), "(1, 3) or (4, 3)"),
        ({"ranges": ((2, 8), (3, 3))}, (9, 3), "(2 to 8, 3)"),
        ({"ranges": ((2, None), (3, 3))}, (1, 3), "(2 or more, 3)"),
        ({}, (3,), "(any, 3)"),
    ],
)
def test_shapes_the_model_does_not_declare(details: Any, shape: Any, expected: str) -> None:
    with pytest.raises(ShapeError) as caught:
        input_array(feature(**details), OPEN, np.zeros(shape))
    assert caught.value.what == "input 'x'"
    assert caught.value.found == f"shape {shape}"
    assert caught.value.expected == f"shape {expected}"


def test_shapes_the_model_declares() -> None:
    ranges = feature(ranges=((2, None), (3, 3)))
    for rows in (2, 1000):
        assert input_array(ranges, OPEN, np.zeros((rows, 3))).shape == (rows, 3)
    several = feature(enumerated=((1, 3), (4, 3)))
    assert input_array(several, OPEN, np.zeros((4, 3))).shape == (4, 3)


def test_defaults() -> None:
    assert default_array(feature(), FIXED) is None
    given = default_array(feature(optional=True, default=0.5), FIXED)
    assert given is not None
    assert given.dtype == np.float32
    assert given.tolist() == [[0.5] * 3]
    unsaid = default_array(feature(optional=True, shape=None), FIXED)
    assert unsaid is not None
    assert unsaid.tolist() == [[0.0] * 3]


def test_outputs_are_copies_and_fp16_becomes_fp32() -> None:
    array = np.ones((1, 3), np.float16)
    found = output_value(feature(dtype=FP16), Port("x", FP16, (1, 3)), array)
    assert found.dtype == np.float32
    array = np.ones((1, 3), np.float32)
    found = output_value(feature(), FIXED, array)
    found[:] = 0
    assert array.all()


def test_labels() -> None:
    labels = ("cat", "dog")
    label = Port("label", INT32, (), labels)
    assert output_value(Feature("label", "string"), label, np.array(1)) == "dog"
    probabilities = Port("p", FP32, (2,), labels)
    found = output_value(Feature("p", "dictionary"), probabilities, np.float32([0.25, 0.75]))
    assert found == {"cat": 0.25, "dog": 0.75}


def test_a_port_without_a_feature_describes_itself() -> None:
    found = described(OPEN, ())
    assert (found.name, found.dtype, found.shape) == ("x", FP32, (1, 3))
    assert described(OPEN, (feature(description="in"),)).description == "in"


def test_an_output_of_rank_0_is_one_number_in_a_row() -> None:
    """Core ML has no scalars, and coremltools' tests ask for this shape."""
    value = output_value(feature(shape=()), Port("x", FP32, ()), np.array(2.5, np.float32))
    np.testing.assert_array_equal(value, np.array([2.5], np.float32), strict=True)
