"""MIL family ``conv``. Source: coremltools 9.0 ``iOS15/conv.py``, ``iOS17/conv.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

AUTO_PAD = {
    "valid": "valid",
    "same": "same_upper",
    "same_lower": "same_lower",
    "custom": "explicit",
}


def padding(
    context: Context, pad_type: str, pad: tuple[int, ...] | None, spatial: int
) -> tuple[str, list[int], list[int]]:
    """Return OpenVINO's auto_pad, pads before and pads after of each spatial dimension."""
    kind = AUTO_PAD[context.one_of("pad_type", pad_type, tuple(AUTO_PAD))]
    if kind != "explicit" or not pad:
        return kind, [0] * spatial, [0] * spatial
    return kind, list(pad[0::2]), list(pad[1::2])


@translates("conv", spec="iOS15.conv, iOS17.conv")
def conv(
    x: Output,
    weight: Output | Array,
    context: Context,
    bias: Output | None = None,
    strides: tuple[int, ...] | None = None,
    pad_type: str = "valid",
    pad: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Any:
    """Convolve over one to three spatial dimensions.

    Args:
        x: ``(n, C_in, *D_in)`` fp16 | fp32.
        weight: ``(C_out, C_in / groups, *K)``, constant or computed.
        context: The translation.
        bias: ``(C_out,)``.
        strides: Per spatial dimension, in elements.
        pad_type: ``valid``, ``same``, ``same_lower`` or ``custom``.
        pad: For ``custom``: before and after each spatial dimension, in elements.
        dilations: Per spatial dimension.
        groups: Channels are split into this many independent convolutions.

    Returns:
        ``(n, C_out, *D_out)``.
    """
    spatial = graph.rank(x) - 2
    kind, before, after = padding(context, pad_type, pad, spatial)
    steps = list(strides or [1] * spatial)
    spread = list(dilations or [1] * spatial)
    if groups == 1:
        y = op.convolution(x, as_weight(weight), steps, before, after, spread, kind)
    else:
        shape = weight_shape(weight)
        grouped = as_weight(weight, (groups, shape[0] // groups, *shape[1:]))
        y = op.group_convolution(x, grouped, steps, before, after, spread, kind)
    return y if bias is None else add_bias(y, bias, spatial)


@translates("conv_quantized", spec="iOS15.conv_quantized")
def conv_quantized(
    x: Output,
    weight: Array,
    quantization_type: str,
    quant_scale: Array,
    quant_bias: Array,
    context: Context,
    bias: Array | None = None,
    nbits: int = 8,
    strides: tuple[int, ...] | None = None,
    pad_type: str = "valid",
    pad: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Any:
    """Convolve with weights ``quant_scale * weight + quant_bias``.

    Args:
        x: ``(n, C_in, *D_in)`` fp16 | fp32.
        weight: ``(C_out, C_in / groups, *K)`` uint8.
        quantization_type: ``linear``: MIL names ``lut`` too, but has no input for the table.
        quant_scale: One number, or one per output channel.
        quant_bias: Likewise.
        context: The translation.
        bias: ``(C_out,)`` uint8, added to the result as it is.
        nbits: 1 to 8: the range of the weights, which are not packed.
        strides: As for ``conv``, like everything that follows.
        pad_type: See ``conv``.
        pad: See ``conv``.
        dilations: See ``conv``.
        groups: See ``conv``.
    """
    context.one_of("quantization_type", quantization_type, ("linear",))
    if weight.size and int(weight.max()) >> nbits:
        raise context.unsupported("weight", int(weight.max()), f"less than 2 to the {nbits}")
    per_channel = (-1, *[1] * (weight.ndim - 1))
    scale, shift = (
        np.asarray(value, np.float32).reshape(per_channel) for value in (quant_scale, quant_bias)
    )
    dense = weight.astype(np.float32) * scale + shift
    addend = None if bias is None else graph.floats(bias)
    return conv(x, dense, context, addend, strides, pad_type, pad, dilations, groups)


@translates("conv_transpose", spec="iOS15.conv_transpose, iOS17.conv_transpose")
def conv_transpose(
    x: Output,
    weight: Output | Array,
    context: Context,
    bias: Output | None = None,
    pad: tuple[int, ...] | None = None,
    output_shape: tuple[int, ...] | None = None,
    pad_type: str = "valid",
    strides: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Any:
    """Transposed convolution over one to three spatial dimensions.

    The output size of a dimension is ``(D_in - 1) * stride + (K - 1) * dilation + 1`` less the
    padding; ``same`` asks for ``D_in * stride``, and ``output_shape`` for any size: what is
    missing is added at the end, what is too much is cropped on both sides.

    Args:
        x: ``(n, C_in, *D_in)`` fp16 | fp32.
        weight: ``(C_in, C_out / groups, *K)``, constant or computed.
        context: The translation.
        bias: ``(C_out,)``.
        pad: For ``custom``: cropped before and after each spatial dimension, in elements.
        output_shape: ``(n, C_out, *D_out)``.
        pad_type: ``valid``, ``same`` or ``custom``.
        strides: Per spatial dimension.
        dilations: Per spatial dimension.
        groups: Channels are split into this many independent convolutions.

    Returns:
        ``(n, C_out, *D_out)``.
    """
    context.one_of("pad_type", pad_type, ("valid", "same", "custom"))
    spatial = graph.rank(x) - 2
    steps = list(strides or [1] * spatial)
    spread = list(dilations or [1] * spatial)
    shape = weight_shape(weight)
    reach = [(k - 1) * d + 1 for k, d in zip(shape[2:], spread, strict=True)]
    before, after, extra = _crops(context, x, pad_type, pad, output_shape, steps, reach)
    if x.get_node().get_type_name() == "Pad":
        # OpenVINO 2026.4 takes the padding into the op as if it were of the result.
        x = graph.apart(x)
    if groups == 1:
        y = op.convolution_backprop_data(
            x,
            as_weight(weight),
            steps,
            pads_begin=before,
            pads_end=after,
            dilations=spread,
            output_padding=extra,
        )
    else:
        grouped = as_weight(weight, (groups, shape[0] // groups, *shape[1:]))
        y = op.group_convolution_backprop_data(
            x,
            grouped,
            steps,
            pads_begin=before,
            pads_end=after,
            dilations=spread,
            output_padding=extra,
        )
    return y if bias is None else add_bias(y, bias, spatial)


def _crops(
    context: Context,
    x: Output,
    pad_type: str,
    pad: tuple[int, ...] | None,
    output_shape: tuple[int, ...] | None,
    steps: Sequence[int],
    reach: Sequence[int],
) -> tuple[list[int], list[int], list[int]]:
    """Return crops before and after, and rows added at the end, of each spatial dimension."""
    spatial = len(steps)
    before, after = [0] * spatial, [0] * spatial
    if pad_type == "custom" and pad:
        before, after = list(pad[0::2]), list(pad[1::2])
    extra = [0] * spatial
    for i in range(spatial):
        # Positive: what must be cropped to reach the size asked for.
        surplus = 0
        if output_shape is not None:
            size = graph.known_size(x, i + 2)
            if size is None:
                raise context.unsupported("output_shape", output_shape, "inputs of a fixed size")
            surplus = (size - 1) * steps[i] + reach[i] - before[i] - after[i] - output_shape[i + 2]
        elif pad_type == "same":
            surplus = reach[i] - steps[i]
        if surplus < 0:
            extra[i] = -surplus
        elif pad_type == "same":
            before[i], after[i] = surplus // 2, surplus - surplus // 2
        else:
            after[i] += surplus
    return before, after, extra


def weight_shape(weight: Output | Array) -> tuple[int, ...]:
    """Return the static shape of a constant or computed weight."""
    if isinstance(weight, np.ndarray):
        return weight.shape
    return tuple(int(size) for size in weight.get_shape())


def as_weight(weight: Output | Array, shape: tuple[int, ...] | None = None) -> Output:
    """Return a weight as a value of the graph, reshaped; a constant is reshaped for nothing."""
    if isinstance(weight, np.ndarray):
        return graph.constant(weight if shape is None else weight.reshape(shape))
    return weight if shape is None else graph.reshape(weight, shape)


def add_bias(y: Any, bias: Output, spatial: int) -> Any:
    """Add a bias per channel."""
    return op.add(y, graph.reshape(bias, (1, -1, *[1] * spatial)))
