"""The numerics modes.

* ``fast``: fp16 weights, f32 arithmetic; fp16 values are rounded only where they leave the model.
* ``faithful``: every value that the program declares as fp16 is rounded to fp16, as a device that
  stores fp16 would do; the arithmetic of one op is f32.
* ``turbo``: matrix products and convolutions in bf16 on a CPU that computes in it; on any other
  the same as ``fast``, which is then the fastest there is.

Programs in fp32 are computed in f32 by ``faithful`` as by ``fast``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.errors import OptionError

NUMERICS = ("fast", "faithful", "turbo")

# fmt: off
EXACT = frozenset((
    "abs", "argsort", "band_part", "batch_to_space", "ceil", "clip", "concat", "cond", "crop",
    "depth_to_space", "expand_dims", "fill", "fill_like", "flatten2d", "floor", "gather",
    "gather_along_axis", "gather_nd", "identity", "list_gather", "list_read", "max_pool", "maximum",
    "minimum", "one_hot", "pad", "pixel_shuffle", "pixel_unshuffle", "read_state", "reduce_max",
    "reduce_min", "relu", "relu6", "reshape", "reshape_like", "resize_nearest_neighbor", "reverse",
    "reverse_sequence", "round", "select", "sign", "slice_by_index", "slice_by_size",
    "slice_update", "sliding_windows", "space_to_batch", "space_to_depth", "split", "squeeze",
    "stack", "threshold", "thresholded_relu", "tile", "topk", "transpose",
    "upsample_nearest_neighbor", "while_loop",
))
# fmt: on
"""Ops that make fp16 numbers of fp16 numbers without rounding: they pick, move, or compare."""

DROPS_NAN = frozenset(
    (
        "clamped_relu",
        "clip",
        "exp",
        "maximum",
        "minimum",
        "relu",
        "relu6",
        "sigmoid_hard",
        "threshold",
    )
)
"""Ops whose CPU kernels make numbers of nan; NumPy does not."""

_SPLITTER = np.float32(2**13 + 1)
_SMALLEST_NORMAL = np.float32(2.0**-14)
_SUBNORMAL_STEP = np.float32(2.0**-24)
_OVERFLOW = np.float32(65520)
"""Half-way between the largest fp16 number and the next power of two."""


def check_numerics(numerics: str) -> None:
    """Refuse a mode that does not exist.

    Raises:
        OptionError: ``numerics`` is not one of ``NUMERICS``.
    """
    if numerics not in NUMERICS:
        raise OptionError(
            f"engine: numerics mode {numerics!r} does not exist",
            expected=" or ".join(map(repr, NUMERICS)),
        )


def precision(numerics: str, capabilities: Sequence[str]) -> str:
    """Return OpenVINO's precision hint for a mode on a CPU with these capabilities."""
    return "bf16" if numerics == "turbo" and "BF16" in capabilities else "f32"


def with_nan(value: Output, operands: Iterable[Output]) -> Output:
    """Return ``value``, and nan where one of the operands is."""
    for operand in operands:
        value = graph.output(op.select(op.is_nan(operand), graph.floats(np.nan), value))
    return value


def round_fp16(x: Output) -> Output:
    """Round f32 numbers to the nearest fp16 number, halves to even; the result is f32.

    OpenVINO removes a pair of conversions, so the rounding is arithmetic. Normal numbers: with
    ``c = 8193 x``, ``c - (c - x)`` keeps the upper 11 of 24 bits (Dekker, 1971). The CPU
    plugin neither folds this nor splits it: it becomes part of the kernel that computes ``x``.
    Subnormal numbers are whole multiples of 2^-24; too large ones become infinite.
    """
    magnitude = op.abs(x)
    scaled = op.multiply(x, graph.floats(_SPLITTER))
    normal = op.subtract(scaled, op.subtract(scaled, x))
    steps = op.round(op.multiply(x, graph.floats(1 / _SUBNORMAL_STEP)), "half_to_even")
    subnormal = op.multiply(steps, graph.floats(_SUBNORMAL_STEP))
    rounded = op.select(op.less(magnitude, graph.floats(_SMALLEST_NORMAL)), subnormal, normal)
    # OpenVINO's Round drops the sign of a zero; x times 0 would be folded into a positive one.
    small = graph.floats(2.0**-100)
    zero = op.multiply(op.multiply(x, small), op.multiply(magnitude, small))
    is_zero = op.less_equal(magnitude, graph.floats(_SUBNORMAL_STEP / 2))
    infinite = op.multiply(x, graph.floats(np.inf))
    is_large = op.greater_equal(magnitude, graph.floats(_OVERFLOW))
    return graph.output(op.select(is_large, infinite, op.select(is_zero, zero, rounded)))
