"""Linear layers whose weights stay as they are stored, computed by kernels of our own.

OpenVINO's matrix product expands fp16 weights to f32 when it compiles, which takes three times the
memory of the file and reads twice the bytes in every batch-1 product. The library built from
``native/kernels`` is an extension of OpenVINO with one operation that reads the stored weights.
It is used where it was built, fits the installed OpenVINO and knows the CPU; elsewhere the engine
gives OpenVINO expanded weights.

Enters: compressed weights. Leaves: a node of the graph.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import Output
from openvino.utils.node_factory import NodeFactory

from etcoreml.engine import graph
from etcoreml.mil.program import Array

_LIBRARY = "libetcoreml_kernels.so"
_OPERATION = "CompressedLinear"
_MATRIX = 2

# Elements. Below, an operation outside OpenVINO's own costs more than it saves.
_SMALLEST = 2**14


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix ``(N, K)`` of weights in a format that the kernels read.

    Attributes:
        format: ``fp16``.
        columns: K.
        data: ``(N, bytes of a row)`` uint8.
    """

    format: str
    columns: int
    data: Array


@functools.cache
def instruction_set() -> str | None:
    """Return what the kernels are compiled for and this CPU has, e.g. ``avx512``, if anything."""
    path = _library()
    if path is None:
        return None
    try:
        # Fails where OpenVINO is of another version than the one it was linked with.
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    library.etcoreml_kernels.restype = ctypes.c_char_p
    name = library.etcoreml_kernels()
    return None if name is None else str(name.decode())


def _library() -> Path | None:
    """Return the library's path if it was built for the OpenVINO that is installed."""
    try:
        from etcoreml import _build_info
    except ImportError:
        return None
    built_for = _build_info.OPENVINO_VERSION
    if not built_for or not ov.get_version().startswith(f"{built_for}-"):
        return None
    path = Path(_build_info.__file__).with_name(_LIBRARY)
    return path if path.exists() else None


def register(core: ov.Core) -> None:
    """Make a core know the operation, so that it can also import compiled models with it."""
    if instruction_set() is not None:
        core.add_extension(str(_library()))


@functools.cache
def _factory() -> NodeFactory:
    factory = NodeFactory("opset15")
    factory.add_extension(str(_library()))
    return factory


def pack_half(weight: Array) -> Packed | None:
    """Return fp16 weights as the kernels read them, in the same memory; None if that is no gain.

    Args:
        weight: ``(N, K)``.
    """
    if weight.ndim != _MATRIX or weight.dtype != np.float16 or weight.size < _SMALLEST:
        return None
    return Packed("fp16", weight.shape[1], np.ascontiguousarray(weight).view(np.uint8))


def linear(x: Output, weight: Packed, bias: Output | None) -> Any:
    """Return ``x @ weight.T + bias`` in f32.

    Args:
        x: ``(*, K)`` f32.
        weight: ``(N, K)``.
        bias: ``(N,)`` f32.
    """
    if bias is None:
        bias = graph.floats(np.zeros(weight.data.shape[0]))
    # Bytes, because OpenVINO would convert constants of a floating-point type.
    stored = graph.constant(weight.data)
    attributes = {"format": weight.format, "columns": weight.columns, "block": 0}
    return _factory().create(_OPERATION, [x, stored, bias], attributes)
