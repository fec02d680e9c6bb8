"""MIL dtypes in the graph: what a value is stored as at the border, and computed as inside.

In ``fast`` numerics every fp16 value is computed in f32. OpenVINO's CPU kernels know few integer
types, so every MIL integer narrower than 32 bits is carried as i32 inside a graph; it has its own
width at the border.
"""

from __future__ import annotations

import numpy as np
from openvino import Type

from etcoreml.mil.program import Array
from etcoreml.types import BY_NAME, DType

_WIDE = {"int64": "int64", "uint32": "int64", "uint64": "int64"}


def border_type(dtype: DType) -> Type:
    """Return the OpenVINO type of a model input or output of this dtype."""
    return getattr(Type, _openvino(dtype))


def compute_dtype(dtype: DType) -> DType:
    """Return the dtype in which values declared as ``dtype`` are computed."""
    if dtype.is_float:
        return BY_NAME["fp32"]
    if dtype.name == "bool":
        return dtype
    return BY_NAME[_WIDE.get(dtype.name, "int32")]


def compute_type(dtype: DType) -> Type:
    """Return the OpenVINO type in which values declared as ``dtype`` are computed."""
    return getattr(Type, _openvino(compute_dtype(dtype)))


def compute_array(array: Array, dtype: DType) -> Array:
    """Return ``array`` in its compute dtype, except that fp16 stays (see ``graph.constant``)."""
    if dtype.name == "fp16":
        return array
    return np.asarray(array, dtype=compute_dtype(dtype).storage)


def _openvino(dtype: DType) -> str:
    name = "boolean" if dtype.name == "bool" else dtype.openvino
    if name is None:
        msg = f"no OpenVINO type for {dtype}"
        raise TypeError(msg)
    return name
