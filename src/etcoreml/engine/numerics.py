"""The numerics modes.

* ``fast``: fp16 weights, f32 arithmetic; fp16 values are rounded only where they leave the model.
* ``faithful``: every value that the program declares as fp16 is rounded to fp16, as a device that
  stores fp16 would do; the arithmetic of one op is f32.
* ``turbo``: matrix products and convolutions in bf16 on a CPU that computes in it; on any other
  the same as ``fast``, which is then the fastest there is.

Programs in fp32 are computed in f32 by ``faithful`` as by ``fast``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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

LIMITS: dict[str, tuple[str | float, str | float]] = {
    "clip": ("alpha", "beta"),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "threshold": ("alpha", math.inf),
}
"""Ops that only limit their operand: to what, or to what parameter."""

_SPLITTER = 2.0**13 + 1
_SMALLEST_SPLIT = 0.75
"""f32 numbers from 0.5 to 1 are 2^-24 apart, as fp16's subnormal ones are."""
_LARGEST_SPLIT = 2.0**60
"""More than 8193 times any fp16 number."""
_OVERFLOW = 2.0**112
"""Makes infinity in f32 of what is too large for fp16: of 2^16, to which 65520 is rounded."""


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


def round_fp16(x: Output) -> Output:
    """Round f32 numbers to the nearest fp16 number, halves to even; the result is f32.

    OpenVINO removes a pair of conversions, so the rounding is arithmetic. With ``c = 8193 |x|``,
    ``c - (c - |x|)`` is the upper 11 of 24 bits of ``|x|`` (Veltkamp's splitting; Dekker, 1971).
    fp16's subnormal numbers, and the least normal ones, are whole multiples of 2^-24: so is the
    difference from a ``c`` of 0.75. An upper limit to ``c`` lets infinity pass.

    That times 2^112 is infinite if it is too large. The factor that scales it back has the sign:
    ``x``, limited to 2^-112, which only numbers that become zero do not reach.

    The CPU plugin makes one kernel of it, which passes over the elements once. Three things to
    beware of: comparisons and ``Select`` take several times as long as arithmetic; OpenVINO
    multiplies the weights of a convolution by a constant that is a factor of its input or output,
    and flushes those that become too small for f32; and it leaves out ``x * 0``.
    """
    magnitude = graph.output(op.abs(x))
    large = op.multiply(_rounded_magnitude(magnitude), graph.floats(_OVERFLOW))
    sign = op.clamp(x, -1 / _OVERFLOW, 1 / _OVERFLOW)
    return graph.output(op.multiply(large, sign))


def round_clipped(x: Output, low: float, high: float) -> Output:
    """Return what ``round_fp16(x)`` limited to [low, high] is, nan being kept.

    Rounding keeps the order, so that the limits can come first; without a sign and infinity there
    is less to do. On x86, minimum and maximum return the second operand if one is nan; what they
    return is not limited by the other at once, for OpenVINO would make a clamp of the two, which
    drops nan. Its kernels for varying shapes swap operands: there this is not to be used.

    Args:
        x: f32, not rounded.
        low: An fp16 number.
        high: An fp16 number, not less than ``low``.
    """
    if high < math.inf and math.copysign(1, low) > 0:
        # Negative numbers remain negative or become zero.
        below = graph.output(op.minimum(graph.floats(high), x))
        return graph.output(op.maximum(graph.floats(low), _rounded_magnitude(below)))
    rounded = round_fp16(graph.output(op.maximum(graph.floats(low), x)))
    return rounded if high == math.inf else graph.output(op.minimum(graph.floats(high), rounded))


def _rounded_magnitude(x: Output) -> Output:
    """Round what is not negative; 65520 becomes 65536."""
    split = op.multiply(x, graph.floats(_SPLITTER))
    c = op.clamp(split, _SMALLEST_SPLIT, _LARGEST_SPLIT)
    return graph.output(op.subtract(c, op.subtract(c, x)))
