"""MIL family ``pool``. Source: coremltools 9.0 ``iOS15/pool.py``."""

from __future__ import annotations

import math
from typing import Any

from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.ops.conv import padding
from etcoreml.engine.registry import translates


@translates("max_pool", spec="iOS15.max_pool")
def max_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Maximum over windows of one to three spatial dimensions.

    Args:
        x: ``(n, C, *D_in)`` fp16 | fp32.
        kernel_sizes: Per spatial dimension, in elements.
        pad_type: ``valid``, ``same``, ``same_lower`` or ``custom``.
        context: The translation.
        strides: Per spatial dimension; 1 if absent.
        pad: For ``custom``: before and after each spatial dimension.
        ceil_mode: Whether a window that starts inside but ends outside counts.
    """
    spatial = len(kernel_sizes)
    kind, before, after = padding(context, pad_type, pad, spatial)
    return op.max_pool(
        x,
        list(strides or [1] * spatial),
        [1] * spatial,
        before,
        after,
        list(kernel_sizes),
        _rounding(ceil_mode),
        kind,
        "i32",
    ).output(0)


@translates("avg_pool", spec="iOS15.avg_pool")
def avg_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
    exclude_padding_from_average: bool = False,
) -> Any:
    """Mean over windows of one to three spatial dimensions.

    Args:
        x: ``(n, C, *D_in)`` fp16 | fp32.
        kernel_sizes: Per spatial dimension, in elements.
        pad_type: ``valid``, ``same``, ``same_lower`` or ``custom``.
        context: The translation.
        strides: Per spatial dimension; 1 if absent.
        pad: For ``custom``: before and after each spatial dimension.
        ceil_mode: Whether a window that starts inside but ends outside counts.
        exclude_padding_from_average: Whether padding counts in the divisor.
    """
    spatial = len(kernel_sizes)
    kind, before, after = padding(context, pad_type, pad, spatial)
    return op.avg_pool(
        x,
        list(strides or [1] * spatial),
        before,
        after,
        list(kernel_sizes),
        exclude_padding_from_average,
        _rounding(ceil_mode),
        kind,
    )


@translates("l2_pool", spec="iOS15.l2_pool")
def l2_pool(
    x: Output,
    kernel_sizes: tuple[int, ...],
    pad_type: str,
    context: Context,
    strides: tuple[int, ...] | None = None,
    pad: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Square root of the sum of squares over windows; parameters as :func:`max_pool`."""
    squares = op.multiply(x, x).output(0)
    mean = avg_pool(squares, kernel_sizes, pad_type, context, strides, pad, ceil_mode)
    return op.sqrt(op.multiply(mean, graph.scalar_like(x, math.prod(kernel_sizes))))


def _rounding(ceil_mode: bool) -> str:
    # "ceil_torch" drops a last window that would start in the padding, as MIL's shape rule does.
    return "ceil_torch" if ceil_mode else "floor"
