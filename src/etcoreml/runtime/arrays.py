"""What users give as tensors, to arrays of an exact dtype.

Enters: NumPy arrays and numbers, lists, torch tensors, whatever speaks ``__array__`` or DLPack.
Leaves: NumPy arrays. torch is not imported: its tensors are told by their methods.

The rules are Core ML's where it has some: a float of any width fits a float input, and an integer
fits where its value does. Nothing is wrapped, and no fraction is cut off.
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
        return value
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
        DtypeError: A number is not representable: out of an integer's range, not a whole number,
            or, for bool, not 0 or 1.
    """
    if array.dtype == dtype.storage and array.dtype.isnative:
        return array
    if array.dtype.kind not in "biuf":
        raise FeatureTypeError(f"{what} holds no real numbers", found=array.dtype, expected=dtype)
    with np.errstate(all="ignore"):
        result = array.astype(dtype.storage)
        if dtype.is_float:  # too large becomes infinite, as on a device
            return result
        exact = bool((result == array).all())
    if not exact:
        low, high = (0, 1) if dtype.name == "bool" else _bounds(dtype)
        raise DtypeError(
            f"{what} has values that {dtype} cannot hold",
            found=f"{_name(array)} with {_offender(array, result)}",
            expected=f"whole numbers from {low} to {high}",
        )
    return result


def _bounds(dtype: DType) -> tuple[int, int]:
    info: Any = np.iinfo(dtype.storage.name)
    return int(info.min), int(info.max)


def _offender(array: Array, result: Array) -> str:
    return str(array[result != array].flat[0])


def _name(array: Array) -> str:
    return str(BY_NUMPY.get(array.dtype, array.dtype))
