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
from etcoreml.mil.program import Array, Constant, TensorType

_LIBRARY = "libetcoreml_kernels.so"
_OPERATION = "CompressedLinear"
_MATRIX = 2

# Elements. Below, an operation outside OpenVINO's own costs more than it saves.
_SMALLEST = 2**14

# Of rows of indices: columns, as ``kIndexPadding`` in native/kernels/problem.hpp.
_PADDING = 128
_BITS = 4
_TABLE = 2**_BITS


@dataclass(frozen=True, eq=False)
class Blocks:
    """What turns indices of 4 bits into weights: ``(table[index] - offset) * scale``.

    Attributes:
        table: ``(T, 16)`` f32, one row for each ``N / T`` rows of the matrix.
        scale: ``(N, padded K / size, rounded up)`` f32.
        size: Columns that share a scale.
        offset: Of the shape of ``scale``; None for zero.
    """

    table: Array
    scale: Array
    size: int
    offset: Array | None = None


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix ``(N, K)`` of weights in a format that the kernels read.

    Attributes:
        columns: K.
        data: ``(N, bytes of a row)`` uint8: fp16, or indices of 4 bits, the lower half of a byte
            first, padded to whole multiples of 128 columns.
        blocks: What the indices stand for; None for fp16.
    """

    columns: int
    data: Array
    blocks: Blocks | None = None


@functools.cache
def instruction_set() -> str | None:
    """Return what the kernels are compiled for and this CPU has, e.g. ``avx512``, if anything."""
    library = _load()
    if library is None:
        return None
    library.etcoreml_kernels.restype = ctypes.c_char_p
    name = library.etcoreml_kernels()
    return None if name is None else str(name.decode())


def use(name: str) -> bool:
    """Choose another instruction set, ``avx512`` or ``avx2``; False if this CPU has it not."""
    library = _load()
    if library is None:
        return False
    library.etcoreml_use_kernels.restype = ctypes.c_bool
    is_in_use = bool(library.etcoreml_use_kernels(name.encode()))
    instruction_set.cache_clear()
    return is_in_use


@functools.cache
def _load() -> ctypes.CDLL | None:
    path = _library()
    try:
        # Fails where OpenVINO is of another version than the one it was linked with.
        return None if path is None else ctypes.CDLL(str(path))
    except OSError:
        return None


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
    return Packed(weight.shape[1], np.ascontiguousarray(weight).view(np.uint8))


def pack_table(indices: Constant, tables: Array) -> Packed | None:
    """Return weights that are looked up in tables of at most 16 numbers; None if that is no gain.

    Args:
        indices: ``(N, K)`` uint1, uint2, uint3 or uint4.
        tables: ``(T, 1, 2^bits, 1)``: one for each ``N / T`` rows.
    """
    shape = _shape(indices)
    is_per_row = tables.ndim == _MATRIX + 2 and tables.shape[1] == 1 and tables.shape[3] == 1
    if not shape or not is_per_row or tables.shape[2] > _TABLE:
        return None
    table = np.zeros((tables.shape[0], _TABLE), np.float32)
    table[:, : tables.shape[2]] = tables[:, 0, :, 0]
    rows, columns = shape
    return _index4(indices, Blocks(table, np.ones((rows, 1), np.float32), _padded(columns)))


def pack_blocks(data: Constant, scale: Array, offset: Array | None) -> Packed | None:
    """Return ``scale * (data - offset)`` as the kernels read it; None if they cannot.

    Args:
        data: ``(N, K)`` int4 or uint4.
        scale: ``(N or 1, B)``, one for each ``K / B`` columns.
        offset: As ``scale``, or None for zero.
    """
    shape = _shape(data)
    type_ = data.type
    if not shape or not isinstance(type_, TensorType) or type_.dtype.bits != _BITS:
        return None
    rows, columns = shape
    size = columns // scale.shape[1]
    if scale.shape[1] == 1:
        size = _padded(columns)
    elif size % _PADDING and size not in (8, 16, 32, 64):
        return None
    if scale.shape[0] not in (1, rows):
        return None
    count = -(-_padded(columns) // size)

    def spread(values: Array) -> Array:
        factors = np.zeros((rows, count), np.float32)
        factors[:, : values.shape[1]] = values
        return factors

    # The bit pattern is the index, so the negative numbers come last.
    first = -_TABLE // 2 if type_.dtype.name == "int4" else 0
    table = np.roll(np.arange(first, first + _TABLE, dtype=np.float32), first)
    offsets = None if offset is None else spread(offset)
    return _index4(data, Blocks(table[None], spread(scale), size, offsets))


def _shape(constant: Constant) -> tuple[int, int] | None:
    """Return the shape of a matrix of at most 4 bits that is large enough for the kernels."""
    type_ = constant.type
    assert isinstance(type_, TensorType)
    shape = tuple(int(size or 0) for size in type_.shape or ())
    is_fit = len(shape) == _MATRIX and np.prod(shape) >= _SMALLEST and type_.dtype.bits <= _BITS
    return (shape[0], shape[1]) if is_fit else None


def _padded(columns: int) -> int:
    return -(-columns // _PADDING) * _PADDING


def _index4(indices: Constant, blocks: Blocks) -> Packed | None:
    """Return indices as the kernels read them, in the same memory where they are stored so."""
    type_ = indices.type
    assert isinstance(type_, TensorType)
    assert isinstance(indices.data, np.ndarray)
    rows, columns = (int(size or 0) for size in type_.shape or ())
    if columns % _PADDING == 0 and type_.dtype.bits == _BITS:
        return Packed(columns, indices.data.view(np.uint8).reshape(rows, -1), blocks)
    if not np.isfinite(blocks.table).all():
        return None  # padding is multiplied by zero
    padded = np.zeros((rows, _padded(columns)), np.uint8)
    padded[:, :columns] = indices.unpack().view(np.uint8) & (_TABLE - 1)
    return Packed(columns, padded[:, 0::2] | padded[:, 1::2] << _BITS, blocks)


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
    operands = [x, graph.constant(weight.data), bias]
    attributes = {"format": "fp16", "columns": weight.columns, "block": 0}
    blocks = weight.blocks
    if blocks is not None:
        factors = (blocks.table, blocks.scale, blocks.offset)
        operands += [graph.constant(item) for item in factors if item is not None]
        attributes.update(format="index4", block=blocks.size)
    return _factory().create(_OPERATION, operands, attributes)
