"""MIL families ``constexpr_ops`` and ``compression``: weights that are stored compressed.

A translator returns a :class:`Weight`, which has several forms: an array, a graph that computes
it. The graph of most ops is the expanded array, in the dtype of the scales or tables
(``constexpr_cast`` keeps fp16). Matrices of up to 8 bits have a third form, which our own kernels
read; so has every other matrix that expands to fp16. Where the kernels cannot be used, matrices of
8 bits with a scale per row, or one for all, stay compressed in the graph in ``fast`` numerics: the
CPU plugin's matrix product reads them so. In ``faithful`` numerics each weight is rounded as MIL
says, by the kernels too.

Source: coremltools 9.0 ``iOS16/constexpr_ops.py``, ``iOS18/compression.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, kernels
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import Weight
from etcoreml.mil.program import Array, Constant, TensorType, unpack_bits
from etcoreml.types import BY_NAME, BY_NUMPY

_MATRIX = 2


def _dense(array: Array) -> Weight:
    return _expanded(lambda: array)


def _expanded(expand: Callable[[], Array]) -> Weight:
    once = functools.cache(expand)
    return Weight(once, lambda: graph.constant(once()), lambda: kernels.pack_half(once()))


def _dequantized(
    data: Array, scale: Array, offset: Array | None, stored: Constant | None, context: Context
) -> Weight:
    """Return ``scale * (data - offset)``, compressed where that can be computed from.

    Args:
        data: ``(*)``.
        scale: One for each block.
        offset: As ``scale``, or None for zero.
        stored: The data as the program stores it, if it does.
        context: The translation.
    """

    @functools.cache
    def expand() -> Array:
        return _shift_scale(data, scale, offset)

    factors = [scale] if offset is None else [scale, offset]
    is_faithful = context.scope.translation.numerics == "faithful"
    stays_in_graph = (
        not is_faithful
        and data.ndim == _MATRIX
        and data.dtype in (np.int8, np.uint8)
        and all(item.shape in ((1, 1), (data.shape[0], 1)) for item in factors)
    )

    def pack() -> kernels.Packed | None:
        packed = None
        if stored is not None:
            # MIL rounds each weight to the dtype of the scale.
            rounds = is_faithful and scale.dtype == np.float16
            packed = kernels.pack_blocks(stored, scale, offset, rounds)
        return packed if packed or stays_in_graph else kernels.pack_half(expand())

    def build() -> Output:
        if not stays_in_graph:
            return graph.constant(expand())
        values: Any = op.convert(graph.constant(data), Type.f32)
        if offset is not None:
            values = op.subtract(values, op.convert(graph.constant(offset), Type.f32))
        return graph.output(op.multiply(values, graph.convert(graph.constant(scale), Type.f32)))

    return Weight(expand, build, pack)


@translates("constexpr_affine_dequantize", spec="iOS16.constexpr_affine_dequantize")
def constexpr_affine_dequantize(
    quantized_data: Array, zero_point: Array, scale: Array, axis: int, context: Context
) -> Weight:
    """Return ``scale * (quantized_data - zero_point)``.

    Args:
        quantized_data: ``(*)`` int8 | uint8.
        zero_point: ``()`` or ``(D[axis],)``, dtype of the data.
        scale: ``()`` or ``(D[axis],)`` fp16 | fp32.
        axis: The dimension that vectors run along.
        context: The translation.
    """
    shape = [1] * quantized_data.ndim
    if scale.ndim or zero_point.ndim:
        shape[axis] = -1
    factor = np.reshape(scale, shape if scale.ndim else [1] * len(shape))
    offset = np.reshape(zero_point, shape if zero_point.ndim else [1] * len(shape))
    dtype = BY_NUMPY[quantized_data.dtype]
    stored = Constant(TensorType(dtype, quantized_data.shape), quantized_data)
    return _dequantized(quantized_data, factor, offset, stored, context)


@translates("constexpr_blockwise_shift_scale", spec="iOS18.constexpr_blockwise_shift_scale")
def constexpr_blockwise_shift_scale(
    data: Array, scale: Array, context: Context, offset: Array | None = None
) -> Weight:
    """Return ``scale * (data - offset)``, each scale and offset serving one block.

    Args:
        data: ``(*)`` int4 | uint4 | int8 | uint8 | fp16 | fp32.
        scale: Of the same rank; each dimension divides that of the data.
        context: The translation.
        offset: Of the shape of ``scale``; zero if absent.
    """
    return _dequantized(data, scale, offset, context.constant("data"), context)


@translates(
    "constexpr_lut_to_dense", spec="iOS16.constexpr_lut_to_dense, iOS18.constexpr_lut_to_dense"
)
def constexpr_lut_to_dense(
    indices: Array,
    lut: Array,
    context: Context,
    shape: tuple[int, ...] | None = None,
    vector_axis: int | None = None,
) -> Weight:
    """Look weights up in tables.

    Args:
        indices: Up to iOS17 ``(nbytes,)`` uint8 of packed indices, from iOS18 ``(*)`` uint1 to
            uint8.
        lut: Up to iOS17 ``(2^nbits,)``; from iOS18 the rank of ``indices`` plus two: per block
            of the indices, ``2^nbits`` vectors.
        context: The translation.
        shape: Shape of the result, up to iOS17.
        vector_axis: The dimension along which vectors are laid out, from iOS18.
    """
    if shape is None:
        dense = _expanded(lambda: _look_up(indices, lut, vector_axis))
        stored, tables = context.constant("indices"), lut
    else:
        dtype = BY_NAME[f"uint{int(np.log2(lut.size))}"]
        dense = _expanded(lambda: lut[unpack_bits(indices, dtype, shape)])
        stored, tables = Constant(TensorType(dtype, shape), indices), lut.reshape(1, 1, -1, 1)

    def pack() -> kernels.Packed | None:
        packed = None if stored is None else kernels.pack_table(stored, tables)
        return packed or dense.pack()

    return Weight(dense.expand, dense.build, pack)


@translates("constexpr_lut_to_sparse", spec="iOS18.constexpr_lut_to_sparse")
def constexpr_lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: int | None = None
) -> tuple[Weight, Weight]:
    """Look the nonzero weights of a sparse tensor up in tables; returns mask and nonzero data.

    Args:
        indices_mask: ``(*)`` uint1: where there is an index.
        indices_nonzero_data: ``(N,)`` the indices.
        lut: As for ``constexpr_lut_to_dense`` of iOS18.
        vector_axis: As for ``constexpr_lut_to_dense``.
    """
    dense = _look_up(_scattered(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = indices_mask
    if vector_axis is not None:
        mask = np.repeat(mask, lut.shape[-1], axis=vector_axis)
    return _dense(mask), _dense(dense[mask != 0])


@translates(
    "constexpr_sparse_blockwise_shift_scale", spec="iOS18.constexpr_sparse_blockwise_shift_scale"
)
def constexpr_sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Weight, Weight]:
    """Dequantise the nonzero weights of a sparse tensor; returns mask and nonzero data.

    Args:
        data_mask: ``(*)`` uint1: where there is a value.
        nonzero_data: ``(N,)`` the values.
        scale: As for ``constexpr_blockwise_shift_scale``.
        offset: As for ``constexpr_blockwise_shift_scale``.
    """
    dense = _shift_scale(_scattered(nonzero_data, data_mask), scale, offset)
    return _dense(data_mask), _dense(dense[data_mask != 0])


@translates(
    "constexpr_sparse_to_dense",
    spec="iOS16.constexpr_sparse_to_dense, iOS18.constexpr_sparse_to_dense",
)
def constexpr_sparse_to_dense(
    nonzero_data: Array, mask: Array, shape: tuple[int, ...] | None = None
) -> Weight:
    """Spread values over the places a mask marks; zeros elsewhere.

    Args:
        nonzero_data: ``(N,)``.
        mask: Up to iOS17 ``(nbytes,)`` uint8 of packed bits, from iOS18 ``(*)`` uint1.
        shape: Shape of the result, up to iOS17.
    """
    bits = mask if shape is None else unpack_bits(mask, BY_NAME["uint1"], shape)
    return _dense(_scattered(nonzero_data, bits))


@translates("constexpr_cast", spec="iOS16.constexpr_cast, iOS18.constexpr_cast")
def constexpr_cast(source_val: Array, output_dtype: str, context: Context) -> Weight:
    """Convert fp16 weights to fp32.

    Args:
        source_val: ``(*)`` fp16.
        output_dtype: ``fp32``.
        context: The translation.
    """
    context.one_of("output_dtype", output_dtype, ("fp32",))
    return Weight(lambda: source_val.astype(np.float32), lambda: graph.constant(source_val))


def _shift_scale(data: Array, scale: Array, offset: Array | None) -> Array:
    """Return ``scale * (data - offset)`` in the dtype of ``scale``."""
    values = data.astype(scale.dtype)
    if offset is not None:
        values = np.subtract(values, _spread(offset.astype(scale.dtype), data.shape))
    return np.multiply(values, _spread(scale, data.shape))


def _spread(blocks: Array, shape: tuple[int, ...]) -> Array:
    """Repeat one value per block so that there is one per element (or one that broadcasts)."""
    for axis, (count, size) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count not in (1, size):
            blocks = np.repeat(blocks, size // count, axis)
    return blocks


def _look_up(indices: Array, lut: Array, vector_axis: int | None) -> Array:
    """Look up indices of rank K in tables of rank K + 2."""
    rank = indices.ndim
    tables = lut
    for axis in range(rank):
        tables = np.repeat(tables, indices.shape[axis] // lut.shape[axis], axis)
    chosen = np.take_along_axis(tables, indices[..., None, None].astype(np.int64), rank)
    vectors = chosen[..., 0, :]
    if lut.shape[-1] == 1 or vector_axis is None:
        return np.ascontiguousarray(vectors[..., 0])
    axis = graph.axis_of(vector_axis, rank)
    shape = list(indices.shape)
    shape[axis] *= lut.shape[-1]
    return np.ascontiguousarray(np.moveaxis(vectors, -1, axis + 1)).reshape(shape)


def _scattered(values: Array, mask: Array) -> Array:
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense
