"""Linear layers and LSTMs on weights as they are stored, and attention of a few rows.

OpenVINO's matrix product expands fp16 weights to f32 when it compiles, which takes three times the
memory of the file and reads twice the bytes in every batch-1 product. The library built from
``native/kernels`` is an extension of OpenVINO with operations that read the stored weights.
It also multiplies a few rows with many: OpenVINO reads the keys of a cache at a third of the
memory's speed. It is used where it was built, fits the installed OpenVINO and knows the CPU;
elsewhere the engine gives OpenVINO expanded weights.

The kernels want the weights of neighbouring outputs side by side, so a matrix is rearranged once,
when the model is compiled; the model cache keeps it so.

Enters: compressed weights. Leaves: a node of the graph.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import weakref
from collections.abc import Sequence
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
_LINEAR = "CompressedLinear"
_LSTM = "CompressedLstm"
_DOT_PRODUCTS = "DotProducts"
_MATRIX = 2

# Elements. Below, an operation outside OpenVINO's own costs more than it saves.
_SMALLEST = 2**14

# As ``kPanel``, ``kIndicesPerWord`` and ``kTableSize`` in native/kernels/problem.hpp.
_PANEL = 32
_WORD = 8
_TABLE = 16

_FEW_ROWS = 4
"""As ``kFewRows`` there."""

LARGEST_LSTM_BATCH = _FEW_ROWS

_PANELS: weakref.WeakValueDictionary[str, Array] = weakref.WeakValueDictionary()
"""What `_stored` made, for as long as a constant of OpenVINO reads it."""

_INDEX_BITS = 4
_BYTE_BITS = 8


@dataclass(frozen=True, eq=False)
class Blocks:
    """What turns stored numbers into weights: ``(number - offset) * scale``.

    Attributes:
        scale: ``(panels, blocks, 32)`` f32, one for each block of each row.
        size: Columns that share a scale.
        offset: As ``scale``; None for zero.
        table: ``(T, 16)`` f32, one row for each ``N / T`` rows of the matrix: what is stored are
            indices of 4 bits, these are the numbers. None: they are stored.
        rounds: Whether each weight is rounded to fp16.
    """

    scale: Array
    size: int
    offset: Array | None = None
    table: Array | None = None
    rounds: bool = False


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix ``(N, K)`` of weights in a format that the kernels read.

    Attributes:
        rows: N.
        columns: K.
        data: ``(panels, bytes of a panel)`` uint8. The weights of 32 rows, a panel, are stored
            together, column after column: fp16, int8 or words of eight indices.
        blocks: What the numbers stand for; None for fp16.
    """

    rows: int
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
    """Make a core know the operations, so that it can also import compiled models with them."""
    if instruction_set() is not None:
        core.add_extension(str(_library()))


@functools.cache
def _factory() -> NodeFactory:
    factory = NodeFactory("opset15")
    factory.add_extension(str(_library()))
    return factory


def pack_half(weight: Array) -> Packed | None:
    """Return fp16 weights as the kernels read them; None if that is no gain.

    Args:
        weight: ``(N, K)``.
    """
    if weight.ndim != _MATRIX or weight.dtype != np.float16 or weight.size < _SMALLEST:
        return None
    return Packed(weight.shape[0], weight.shape[1], _stored(weight))


def pack_table(indices: Constant, tables: Array) -> Packed | None:
    """Return weights that are looked up in tables of at most 16 numbers; None if that is no gain.

    Args:
        indices: ``(N, K)`` uint1, uint2, uint3 or uint4.
        tables: ``(T, 1, 2^bits, 1)``: one for each ``N / T`` rows, a multiple of 16.
    """
    shape = _shape(indices, _INDEX_BITS)
    is_per_row = tables.ndim == _MATRIX + 2 and tables.shape[1] == 1 and tables.shape[3] == 1
    if shape is None or not is_per_row or tables.shape[2] > _TABLE:
        return None
    if tables.shape[0] > 1 and shape[0] % (tables.shape[0] * _TABLE):
        return None
    table = np.zeros((tables.shape[0], _TABLE), np.float32)
    table[:, : tables.shape[2]] = tables[:, 0, :, 0]
    rows, columns = shape
    scale = _panels(np.ones((rows, 1), np.float32))
    return Packed(rows, columns, _words(indices), Blocks(scale, columns, table=table))


def pack_blocks(data: Constant, scale: Array, offset: Array | None, rounds: bool) -> Packed | None:
    """Return ``scale * (data - offset)`` as the kernels read it; None if they cannot.

    Args:
        data: ``(N, K)`` int4, uint4, int8 or uint8.
        scale: ``(N or 1, B)``, one for each ``K / B`` columns.
        offset: As ``scale``, or None for zero.
        rounds: Whether each product is rounded to fp16.
    """
    shape = _shape(data, _BYTE_BITS)
    type_ = data.type
    if shape is None or not isinstance(type_, TensorType):
        return None
    if type_.dtype.name not in ("int4", "uint4", "int8", "uint8"):
        return None
    rows, columns = shape
    size = columns // scale.shape[1]
    if scale.shape[0] not in (1, rows) or (scale.shape[1] > 1 and size % _WORD):
        return None
    if offset is not None and offset.shape not in ((1, 1), (rows, 1), scale.shape):
        return None
    if rounds and offset is not None and not np.issubdtype(offset.dtype, np.integer):
        return None  # the difference would have to be rounded, too

    def spread(values: Array) -> Array:
        wide = np.asarray(values, np.float32)
        return _panels(np.broadcast_to(wide, (rows, scale.shape[1])))

    factors = spread(scale)
    offsets = None if offset is None else spread(offset)
    if type_.dtype.bits == _BYTE_BITS:
        numbers = data.unpack()
        if numbers.dtype == np.uint8:
            # Moved into the range of int8, with the offset.
            numbers = np.bitwise_xor(numbers, np.uint8(0x80)).view(np.int8)
            zeros = np.zeros_like(factors) if offsets is None else offsets
            offsets = np.subtract(zeros, 128, dtype=np.float32)
        blocks = Blocks(factors, size, offsets, rounds=rounds)
        return Packed(rows, columns, _stored(numbers), blocks)
    # The bit pattern is the index, so the negative numbers come last.
    first = -_TABLE // 2 if type_.dtype.name == "int4" else 0
    table = np.roll(np.arange(first, first + _TABLE, dtype=np.float32), first)
    blocks = Blocks(factors, size, offsets, table[None], rounds)
    return Packed(rows, columns, _words(data), blocks)


def _shape(constant: Constant, bits: int) -> tuple[int, int] | None:
    """Return the shape of a matrix of at most ``bits`` that is large enough for the kernels."""
    type_ = constant.type
    assert isinstance(type_, TensorType)
    shape = tuple(int(size or 0) for size in type_.shape or ())
    is_fit = len(shape) == _MATRIX and np.prod(shape) >= _SMALLEST and type_.dtype.bits <= bits
    return (shape[0], shape[1]) if is_fit else None


def _panels(units: Array) -> Array:
    """Return ``(N, U)`` as ``(panels, U, 32)``, the last panel filled up with zeros."""
    rows, columns = units.shape
    count = -(-rows // _PANEL)
    if rows % _PANEL:
        full = np.zeros((count * _PANEL, columns), units.dtype)
        full[:rows] = units
        units = full
    return np.ascontiguousarray(units.reshape(count, _PANEL, columns).swapaxes(1, 2))


def _stored(units: Array) -> Array:
    """Return a matrix as bytes of panels, once for all compiled functions that have it at a time.

    The functions of one model share weights, e.g. that which reads a prompt and that which decodes.
    """
    content = hashlib.sha256(np.ascontiguousarray(units).data.cast("B")).hexdigest()
    key = f"{units.dtype} {units.shape} {content}"
    panels = _PANELS.get(key)
    if panels is None:
        panels = _panels(units)
        _PANELS[key] = panels
    return panels.view(np.uint8).reshape(len(panels), -1)


def _words(indices: Constant) -> Array:
    """Return indices of up to 4 bits as panels of words of eight."""
    type_ = indices.type
    assert isinstance(type_, TensorType)
    assert isinstance(indices.data, np.ndarray)
    rows, columns = (int(size or 0) for size in type_.shape or ())
    halves: Array
    if columns % _WORD == 0 and type_.dtype.bits == _INDEX_BITS:
        halves = np.ascontiguousarray(indices.data).view(np.uint8).reshape(rows, -1)
    else:
        padded = np.zeros((rows, -(-columns // _WORD) * _WORD), np.uint8)
        padded[:, :columns] = indices.unpack().view(np.uint8) & (_TABLE - 1)
        halves = padded[:, 0::2] | padded[:, 1::2] << _INDEX_BITS
    return _stored(halves.view(np.uint32))


def linear(x: Output, weight: Packed, bias: Output | None) -> Any:
    """Return ``x @ weight.T + bias`` in f32.

    Args:
        x: ``(*, K)`` f32.
        weight: ``(N, K)``.
        bias: ``(N,)`` f32.
    """
    if bias is None:
        bias = graph.floats(np.zeros(weight.rows))
    # Bytes, because OpenVINO would convert constants of a floating-point type.
    operands = [x, graph.constant(weight.data), bias]
    attributes: dict[str, Any] = {
        "format": "fp16",
        "columns": weight.columns,
        "block": weight.columns,
        "rounds": False,
    }
    blocks = weight.blocks
    if blocks is not None:
        factors = (blocks.scale, blocks.table, blocks.offset)
        operands += [graph.constant(item) for item in factors if item is not None]
        name = "int8" if blocks.table is None else "index4"
        attributes.update(format=name, block=blocks.size, rounds=blocks.rounds)
    return _factory().create(_LINEAR, operands, attributes)


def lstm(
    projected: Output, h: Output, c: Output, weights: Sequence[Packed], *, is_reverse: bool
) -> list[Output]:
    """Return every step ``(s, b, D * H)`` of an LSTM, in the order of the input, and both states.

    Args:
        projected: ``(s, b, D * 4 * H)`` f32, the products of the inputs and the biases; gates in
            the order input, forget, output, cell. ``b`` is known, at most ``LARGEST_LSTM_BATCH``.
        h: ``(b, D * H)`` f32.
        c: Likewise.
        weights: Of each direction ``(4 * H, H)`` fp16; the second walks back.
        is_reverse: Whether the only direction walks back.
    """
    data = graph.constant(np.stack([weight.data for weight in weights]))
    attributes = {"hidden": weights[0].columns, "reverse": is_reverse}
    return list(_factory().create(_LSTM, [projected, h, c, data], attributes).outputs())


def are_few_rows(x: Output, y: Output) -> bool:
    """Whether ``x @ y.T`` is for `dot_products`, and worth it.

    Args:
        x: ``(*B, M, K)``: f32, M at most 4.
        y: ``(*B, N, K)``: f32; all sizes but N are known.
    """
    rows, others = x.get_partial_shape(), y.get_partial_shape()
    if rows.rank.is_dynamic or others.rank.is_dynamic or len(rows) != len(others):
        return False
    if {x.get_element_type(), y.get_element_type()} != {ov.Type.f32}:
        return False
    if len(rows) < _MATRIX or rows.is_dynamic or rows[-2].get_length() > _FEW_ROWS:
        return False
    if others[-1] != rows[-1] or any(a != b for a, b in zip(rows[:-2], others[:-2], strict=True)):
        return False
    return bool(others.is_dynamic or np.prod(others.to_shape()) >= _SMALLEST)


def dot_products(x: Output, y: Output) -> Any:
    """Return ``x @ y.T``, ``(*B, M, N)``, of what `are_few_rows` accepts."""
    return _factory().create(_DOT_PRODUCTS, [x, y], {})
