"""What users give as tensors, to arrays of an exact dtype.

Enters: NumPy arrays and numbers, lists, torch tensors, whatever speaks ``__array__`` or DLPack.
Leaves: NumPy arrays. torch is not imported: its tensors are told by their methods.

The rules are Core ML's where it has some: a float of any width is rounded to a float input's, and
an integer fits where its value does. Nothing is wrapped, no fraction is cut off, and no number
becomes infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from etcoreml.errors import DtypeError, FeatureTypeError
from etcoreml.mil.program import Array
from etcoreml.types import BY_NUMPY, DType


def to_array(value: Any, what: str) -> Array:
    """Return ``value`` as an array, without a copy where that is possible.

    Args:
        value: See the module.
        what: Name of the value in an error.

    Raises:
        FeatureTypeError: It is no array of numbers.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return value
        raise FeatureTypeError(
            f"{what} is no array of numbers",
            found=f"an array of dtype {value.dtype}",
            expected="real numbers",
        )
    if hasattr(value, "detach"):  # a torch tensor that requires a gradient has no __array__
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:  # a ragged list, or a dtype that NumPy has not, e.g. bfloat16
        if hasattr(value, "float"):
            return np.asarray(value.float())
        array = _from_dlpack(value, what, error)
    if array.dtype.kind in "biuf":
        return array
    return _from_dlpack(value, what, None)


def _from_dlpack(value: Any, what: str, error: Exception | None) -> Array:
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray | np.generic):
        return np.from_dlpack(value)
    raise FeatureTypeError(
        f"{what} is no array of numbers",
        found=f"{type(value).__name__}" + (f" ({error})" if error else ""),
        expected="a NumPy array, a number, a list of numbers or a tensor",
    ) from error


def coerce(array: Array, dtype: DType, what: str) -> Array:
    """Return ``array`` in ``dtype``; no copy if it already is.

    Args:
        array: Numbers or booleans.
        dtype: The dtype to get.
        what: Name of the array in an error.

    Raises:
        FeatureTypeError: The array holds no real numbers.
        DtypeError: A number is not representable. To an integer or bool: out of its range, or
            not a whole number. To a float: beyond its range, or an integer that it would round;
            floats are rounded, and nan and infinity stay what they are.
    """
    if array.dtype == dtype.storage and array.dtype.isnative:
        return array
    if array.dtype.kind not in "biuf":
        raise FeatureTypeError(f"{what} holds no real numbers", found=array.dtype, expected=dtype)
    with np.errstate(all="ignore"):
        result = array.astype(dtype.storage)
        wrong = _lost(array, result, dtype)
    if wrong.any():
        raise DtypeError(
            f"{what} has values that {dtype} cannot hold",
            found=f"{_name(array)} with {array[wrong].flat[0]}",
            expected=_domain(array, dtype),
        )
    return result


def _lost(array: Array, result: Array, dtype: DType) -> Array:
    """Return where a conversion changed more than it may, or one False for nowhere."""
    if not dtype.is_float:
        return np.asarray(result != array)
    if array.dtype.kind == "f":
        return np.isinf(result) & np.isfinite(array)
    if array.dtype.itemsize < 8 and np.can_cast(array.dtype, dtype.storage):
        return np.zeros((), np.bool_)
    # Compared as integers: a comparison with a float would round what is to be compared. Beyond
    # the integers' range there is no way back.
    limit = np.float64(2) ** (8 * array.dtype.itemsize - (array.dtype.kind == "i"))
    inside = np.isfinite(result) & (result.astype(np.float64) < limit)
    return np.asarray(~inside | (result.astype(array.dtype) != array))


def _domain(array: Array, dtype: DType) -> str:
    if dtype.name == "bool":
        return "whole numbers from 0 to 1"
    if not dtype.is_float:
        integers: Any = np.iinfo(dtype.storage.name)
        return f"whole numbers from {int(integers.min)} to {int(integers.max)}"
    limits: Any = np.finfo(dtype.storage.name)
    if array.dtype.kind == "f":
        return f"numbers up to {limits.max:g}, or inf"
    return f"whole numbers that it holds exactly, as all up to {2 ** (limits.nmant + 1)}"


def _name(array: Array) -> str:
    return str(BY_NUMPY.get(array.dtype, array.dtype))
