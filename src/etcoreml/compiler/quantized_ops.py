"""Converters of torchao's dequantising ops to MIL's compressed constants.

A weight quantised with ``torchao.quantize_`` reaches the edge program as integers in a parameter
and an op that restores them. Core ML keeps the integers in the model and restores them when it
loads or runs it (``constexpr_affine_dequantize``, ``constexpr_blockwise_shift_scale``,
``constexpr_lut_to_dense``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etcoreml.mil.ct import coremltools

_frontend = coremltools().converters.mil.frontend
_types = coremltools().converters.mil.mil.types

_INTEGERS = {(-8, 7): "int4", (-128, 127): "int8"}


def _constant(var: Any, name: str, node: Any) -> NDArray[Any]:
    """Return the value of a constant input."""
    if var is None or var.val is None:
        what = f"{node.name}: Core ML restores constants only, and {name} is computed"
        raise ValueError(what)
    return np.asarray(var.val)


def dequantize_affine(context: Any, node: Any) -> None:
    """Convert ``torchao::dequantize_affine(input, block_size, scale, zero_point, ...)``.

    One scale and zero point serve a block of ``block_size`` elements. coremltools 9.0 takes the
    last axis for that of the scales below iOS18, whichever it is.

    Raises:
        ValueError: The range is neither that of int4 nor int8, or an input is no constant.

    Source:
        torchao ``quantization/quant_primitives.py``; https://github.com/apple/coremltools/pull/2589.
    """
    inputs = _frontend.torch.ops._get_inputs(context, node, expected=[7, 8])
    data = _constant(inputs[0], "input", node)
    bounds = (int(inputs[5].val), int(inputs[6].val))
    if bounds not in _INTEGERS:
        what = f"{node.name}: Core ML has integers of 4 and 8 bits, and the range is {bounds}"
        raise ValueError(what)
    dtype = _types.nptype_from_builtin(_types.string_to_builtin(_INTEGERS[bounds]))
    blocks = [
        size // block
        for size, block in zip(data.shape, np.asarray(inputs[1].val).tolist(), strict=True)
    ]
    zero_point = None
    if inputs[3] is not None and np.any(_constant(inputs[3], "zero_point", node)):
        zero_point = np.asarray(inputs[3].val).reshape(blocks).astype(dtype)
    restored = _frontend._utils._construct_constexpr_dequant_op(
        data.astype(dtype),
        zero_point,
        _constant(inputs[2], "scale", node).reshape(blocks).astype(np.float32),
        name=node.name,
    )
    context.add(restored, node.name)


def dequantize_codebook(context: Any, node: Any) -> None:
    """Convert ``quant::dequantize_codebook(codes, codebook, bits, block_size)``.

    ``codebook`` has the rank of ``codes`` plus two, ``(..., 2 ** bits, 1)``, as MIL's table does:
    the leading dimensions count the tables along each dimension of the codes.

    Raises:
        ValueError: An input is no constant.

    Source:
        torchao ``prototype/quantization/codebook_coreml``.
    """
    inputs = _frontend.torch.ops._get_inputs(context, node, expected=[4, 5])
    restored = _frontend._utils._construct_constexpr_lut_op(
        _constant(inputs[0], "codes", node).astype(np.uint8),
        _constant(inputs[1], "codebook", node).astype(np.float32),
        name=node.name,
    )
    context.add(restored, node.name)


QUANTIZED_CONVERTERS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType(
    {
        "torchao.dequantize_affine": dequantize_affine,
        "torchao::dequantize_affine": dequantize_affine,
        "quant.dequantize_codebook": dequantize_codebook,
        "quant::dequantize_codebook": dequantize_codebook,
    }
)
"""Op name, as it is looked up (with a dot) and converted (with ``::``), to converter."""
