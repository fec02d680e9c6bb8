"""MIL family ``activation``. Source: coremltools 9.0, ``activation.py`` of iOS15 and iOS17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph, nans
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_GELU = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")


def _unary(build: Callable[[Output], Any], op_type: str) -> None:
    """Register an op of one input that one OpenVINO op computes."""

    def translator(x: Output) -> Any:
        return build(x)

    translator.__doc__ = f"Apply ``{op_type}`` to every element: ``(*)`` fp16 | fp32 to the same."
    translates(op_type, spec=f"iOS15.{op_type}")(translator)


_unary(lambda x: nans.limited(x, 0, np.inf), "relu")
_unary(op.sigmoid, "sigmoid")
_unary(op.softsign, "softsign")
_unary(op.swish, "silu")


@translates("softplus", spec="iOS15.softplus")
def softplus(x: Output, context: Context) -> Any:
    """Return ``log(1 + e^x)``; ``x`` is ``(*)`` fp16 | fp32.

    f32 loses what e^x adds to one; ``faithful`` takes the series of the logarithm there.
    """
    if not context.is_faithful:
        return op.softplus(x)
    e = op.exp(x)
    terms = graph.floats(1 / 3)
    for factor in (-1 / 2, 1):
        terms = op.add(op.multiply(terms, e), graph.floats(factor)).output(0)
    return op.select(op.less(x, graph.floats(-5)), op.multiply(e, terms), op.softplus(x))


@translates("relu6", spec="iOS15.relu6")
def relu6(x: Output) -> Any:
    """Limit ``x`` (``(*)`` fp16 | fp32) to [0, 6]."""
    return nans.limited(x, 0, 6)


@translates("clamped_relu", spec="iOS15.clamped_relu, iOS17.clamped_relu")
def clamped_relu(x: Output, alpha: float, beta: float) -> Any:
    """Return ``min(beta, x if x >= 0 else alpha * x)``; ``x`` is ``(*)`` fp16 | fp32."""
    return nans.limited(graph.output(leaky_relu(x, alpha)), -np.inf, beta)


@translates("elu", spec="iOS15.elu, iOS17.elu")
def elu(x: Output, alpha: float) -> Any:
    """Return ``x if x > 0 else alpha * (e^x - 1)``; ``x`` is ``(*)`` fp16 | fp32."""
    return op.elu(x, alpha)


@translates("gelu", spec="iOS15.gelu")
def gelu(x: Output, context: Context, mode: str = "EXACT") -> Any:
    """Gaussian error linear unit of ``x``, ``(*)`` fp16 | fp32.

    Args:
        x: Any rank.
        context: The translation.
        mode: ``EXACT`` (erf), ``TANH_APPROXIMATION`` or ``SIGMOID_APPROXIMATION`` (1.702).
    """
    mode = context.one_of("mode", mode, _GELU)
    if mode == "SIGMOID_APPROXIMATION":
        return op.swish(x, graph.scalar_like(x, 1.702))
    y = op.gelu(x, "erf" if mode == "EXACT" else "tanh")
    # The kernel makes nan of infinity.
    return op.select(op.less(graph.floats(100), x), x, y) if context.is_faithful else y


@translates("leaky_relu", spec="iOS15.leaky_relu, iOS17.leaky_relu")
def leaky_relu(x: Output, alpha: float) -> Any:
    """Return ``x if x >= 0 else alpha * x``; ``x`` is ``(*)`` fp16 | fp32."""
    return op.prelu(x, graph.scalar_like(x, alpha))


@translates("linear_activation", spec="iOS15.linear_activation, iOS17.linear_activation")
def linear_activation(x: Output, alpha: float, beta: float) -> Any:
    """Return ``alpha * x + beta``; ``x`` is ``(*)`` fp16 | fp32."""
    return op.add(op.multiply(x, graph.scalar_like(x, alpha)), graph.scalar_like(x, beta))


@translates("prelu", spec="iOS15.prelu, iOS17.prelu")
def prelu(x: Output, alpha: Array) -> Any:
    """Leaky ReLU with a slope per channel: ``x`` ``(B, C, *)``, ``alpha`` ``(C,)``."""
    return op.prelu(x, graph.floats(per_channel(alpha, graph.rank(x))))


@translates("scaled_tanh", spec="iOS15.scaled_tanh, iOS17.scaled_tanh")
def scaled_tanh(x: Output, alpha: float, beta: float) -> Any:
    """Return ``alpha * tanh(beta * x)``; ``x`` is ``(*)`` fp16 | fp32."""
    inner = op.tanh(op.multiply(x, graph.scalar_like(x, beta)))
    return op.multiply(inner, graph.scalar_like(x, alpha))


@translates("sigmoid_hard", spec="iOS15.sigmoid_hard, iOS17.sigmoid_hard")
def sigmoid_hard(x: Output, alpha: float, beta: float) -> Any:
    """Return ``min(max(alpha * x + beta, 0), 1)``; ``x`` is ``(*)`` fp16 | fp32."""
    return nans.limited(graph.output(linear_activation(x, alpha, beta)), 0, 1)


@translates("softmax", spec="iOS15.softmax")
def softmax(x: Output, axis: int = -1) -> Any:
    """Return ``exp(x) / sum(exp(x))`` along ``axis``; ``x`` is ``(*)`` fp16 | fp32."""
    return op.softmax(x, graph.axis_of(axis, graph.rank(x)))


@translates("softplus_parametric", spec="iOS15.softplus_parametric, iOS17.softplus_parametric")
def softplus_parametric(x: Output, alpha: Array, beta: Array) -> Any:
    """Return ``alpha * log(1 + exp(beta * x))``: ``x`` ``(B, C, *)``, factors ``(C,)``."""
    rank = graph.rank(x)
    inner = op.softplus(op.multiply(x, graph.floats(per_channel(beta, rank))))
    return op.multiply(inner, graph.floats(per_channel(alpha, rank)))


@translates("thresholded_relu", spec="iOS15.thresholded_relu, iOS17.thresholded_relu")
def thresholded_relu(x: Output, alpha: float) -> Any:
    """Return ``x if x >= alpha else 0``; ``x`` is ``(*)`` fp16 | fp32."""
    return op.select(op.less(x, graph.scalar_like(x, alpha)), graph.scalar_like(x, 0), x)


def per_channel(values: Array, rank: int) -> Array:
    """Reshape ``(C,)`` so that it broadcasts along dimension 1 of a tensor of ``rank``."""
    return np.reshape(values, (1, -1, *[1] * (rank - 2)))
