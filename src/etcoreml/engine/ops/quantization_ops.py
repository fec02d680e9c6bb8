"""MIL family ``quantization_ops``. Source: coremltools 9.0 ``iOS17/quantization_ops.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


@translates("quantize", spec="iOS17.quantize")
def quantize(
    input: Output,
    scale: Array,
    output_dtype: str,
    context: Context,
    zero_point: Array | None = None,
    axis: int | None = None,
) -> Any:
    """Return ``clip(round(input / scale) + zero_point)``, halves rounded to the even number.

    Args:
        input: ``(*)`` fp16 | fp32.
        scale: ``()`` or ``(D[axis],)``.
        output_dtype: ``int8`` or ``uint8``, whose range limits the result.
        context: The translation.
        zero_point: Of the shape of ``scale``; zero if absent.
        axis: The dimension that vectors run along.
    """
    low, high = _RANGES[context.one_of("output_dtype", output_dtype, tuple(_RANGES))]
    rank = graph.rank(input)
    steps = op.round(op.divide(input, graph.floats(_along(scale, axis, rank))), "half_to_even")
    if zero_point is not None:
        steps = op.add(steps, graph.floats(_along(zero_point, axis, rank)))
    return op.convert(op.clamp(steps, low, high), Type.i32)


@translates("dequantize", spec="iOS17.dequantize")
def dequantize(
    input: Output,
    scale: Array,
    zero_point: Array | None = None,
    axis: int | None = None,
) -> Any:
    """Return ``(input - zero_point) * scale``.

    Args:
        input: ``(*)`` int8 | uint8.
        scale: ``()`` or ``(D[axis],)`` fp16 | fp32; its dtype is that of the result.
        zero_point: Of the shape of ``scale``; zero if absent.
        axis: The dimension that vectors run along.
    """
    rank = graph.rank(input)
    steps = op.convert(input, Type.f32)
    if zero_point is not None:
        steps = op.subtract(steps, graph.floats(_along(zero_point, axis, rank)))
    return op.multiply(steps, graph.floats(_along(scale, axis, rank)))


def _along(values: Array, axis: int | None, rank: int) -> Array:
    """Reshape a vector so that it broadcasts along ``axis``; a scalar stays one."""
    if values.ndim == 0 or axis is None:
        return np.reshape(values, ())
    shape = [1] * rank
    shape[axis] = -1
    return np.reshape(values, shape)
