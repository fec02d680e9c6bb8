"""What users give as tensors. Oracles: NumPy's own conversions and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from etcoreml.errors import DtypeError, FeatureTypeError
from etcoreml.runtime.arrays import coerce, to_array
from etcoreml.types import BOOL, BY_NAME, FP16, FP32, INT32
from tests.runtime.processes import run_python


class _SpeaksDlpack:
    """An array of another library: no ``__array__``, only DLPack."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        ((1.0, 2.0), (3.0, 4.0)),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16),
        _SpeaksDlpack(np.array([[1.0, 2.0], [3.0, 4.0]])),
    ],
    ids=["list", "tuple", "gradient", "bfloat16", "dlpack"],
)
def test_every_form_becomes_an_array(value: Any) -> None:
    np.testing.assert_array_equal(to_array(value, "x"), [[1, 2], [3, 4]])


def test_arrays_and_tensors_are_not_copied() -> None:
    array, tensor = np.zeros(3), torch.zeros(3)
    assert to_array(array, "x") is array
    assert np.shares_memory(to_array(tensor, "x"), tensor.numpy())


@pytest.mark.parametrize("value", ["text", [[1.0], [1.0, 2.0]], object(), [None], b"x"])
def test_what_is_no_array_is_refused_by_name(value: Any) -> None:
    with pytest.raises(FeatureTypeError, match="input 'x' is no array of numbers"):
        to_array(value, "input 'x'")


@pytest.mark.parametrize("value", [["a"], [1j], [None], [b"x"]])
def test_arrays_of_something_else_are_refused_by_dtype(value: Any) -> None:
    array = np.array(value)
    with pytest.raises(FeatureTypeError, match=f"'x' is no array.*of dtype {array.dtype}; exp"):
        to_array(array, "input 'x'")


def test_numbers_are_arrays_of_rank_0() -> None:
    assert to_array(3, "x").shape == to_array(np.float16(2), "x").shape == ()


def test_torch_is_not_imported() -> None:
    outcome = run_python("""
        import sys
        from etcoreml.runtime.arrays import to_array
        to_array([1.0], "x")
        print(sorted({"torch", "coremltools"} & set(sys.modules)))
    """)
    assert outcome.stdout == "[]\n", outcome.stderr


@pytest.mark.parametrize("source", ["float64", "float32", "float16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("target", ["fp32", "fp16", "int32", "int8", "uint16", "bool"])
def test_whole_numbers_go_anywhere_they_fit(source: str, target: str) -> None:
    array = np.array([[0, 1], [1, 0]], source)
    result = coerce(array, BY_NAME[target], "x")
    assert result.dtype == BY_NAME[target].storage
    np.testing.assert_array_equal(result, array.astype(result.dtype))


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.zeros(3, np.float32)
    assert coerce(array, FP32, "x") is array


def test_an_array_of_foreign_byte_order_is_converted() -> None:
    array = np.array([1.5, -2], ">f4")
    result = coerce(array, FP32, "x")
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, [1.5, -2])


def test_floats_are_rounded() -> None:
    wide = np.array([1 / 3, 3.4e38, -np.inf, np.nan, 1e-60])
    np.testing.assert_array_equal(coerce(wide, FP32, "x"), wide.astype(np.float32))
    np.testing.assert_array_equal(
        coerce(np.array([65519, 2**-25], np.float32), FP16, "x"), [65504, 0]
    )


@pytest.mark.parametrize("source", ["int16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("dtype", [FP16, FP32])
def test_integers_that_a_float_holds(source: str, dtype: Any) -> None:
    digits = np.finfo(dtype.storage).nmant + 1
    info: Any = np.iinfo(source)
    whole = [0, 1, 2**digits, 2 ** (digits + 1) - 2, 2**15, 2**40, 2**62, 2**63, -(2**15), -(2**63)]
    fit = [
        n
        for n in whole
        if info.min <= n <= info.max and abs(n) <= float(np.finfo(dtype.storage).max)
    ]
    array = np.array([n for n in fit if float(dtype.storage.type(n)) == n], source)
    np.testing.assert_array_equal(coerce(array, dtype, "x").astype(float), array.astype(float))


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (np.array([0, 2**31]), INT32, "int64 with 2147483648; expected whole numbers from -2147"),
        (np.array([1.5]), INT32, "fp64 with 1.5"),
        (np.array([np.nan], np.float32), INT32, "fp32 with nan"),
        (np.array([-1]), BY_NAME["uint8"], "from 0 to 255"),
        (np.array([2]), BOOL, "int64 with 2; expected whole numbers from 0 to 1"),
        (np.array([0, 1e39]), FP32, r"fp64 with 1e\+39; expected numbers up to 3\.40282e\+38, or"),
        (np.array([[1], [-1e300]]), FP32, r"fp64 with -1e\+300"),
        (
            np.array([np.inf, 65520], np.float32),
            FP16,
            r"fp32 with 65520\.0; expected numbers up to 65504",
        ),
        (np.array([16777216, 16777217]), FP32, "int64 with 16777217; .* as all up to 16777216"),
        (np.array([2049], np.int16), FP16, "int16 with 2049"),
        (np.array([65536]), FP16, "int64 with 65536"),
        (np.array(-(2**63)), FP16, "int64 with -9223372036854775808"),
        (np.array([2**63 - 1]), FP32, "int64 with 9223372036854775807"),
        (np.array([2**64 - 1], np.uint64), FP32, "with 18446744073709551615"),
    ],
)
def test_what_a_dtype_cannot_hold_is_refused(value: Any, dtype: Any, words: str) -> None:
    with pytest.raises(DtypeError, match=words):
        coerce(value, dtype, "x")


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(FeatureTypeError):
        coerce(np.array([1j]), FP32, "x")


def test_empty_arrays_are_converted() -> None:
    assert coerce(np.zeros((0, 3)), INT32, "x").shape == (0, 3)
