"""MIL family ``elementwise_unary``.

Source: coremltools 9.0 ``iOS15/elementwise_unary.py``, ``iOS17/elementwise_unary.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers, nans
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates

_WORD = 4
"""Bytes of the integers that are computed with."""


def _unary(build: Callable[[Output], Any], op_type: str) -> None:
    """Register an op of one input that one OpenVINO op computes."""

    def translator(x: Output) -> Any:
        return build(x)

    translator.__doc__ = f"Return ``{op_type}(x)`` for every element, in the dtype of ``x``."
    translates(op_type, spec=f"iOS15.{op_type}")(translator)


_unary(op.absolute, "abs")
_unary(op.acos, "acos")
_unary(op.asin, "asin")
_unary(op.atan, "atan")
_unary(op.atanh, "atanh")
_unary(op.ceiling, "ceil")
_unary(op.cos, "cos")
_unary(op.cosh, "cosh")
_unary(lambda x: nans.kept(graph.output(op.exp(x)), x), "exp")
_unary(op.floor, "floor")
_unary(op.logical_not, "logical_not")
_unary(op.sign, "sign")
_unary(op.sin, "sin")
_unary(op.sinh, "sinh")
_unary(op.sqrt, "sqrt")
_unary(op.tan, "tan")
_unary(op.tanh, "tanh")


@translates("erf", spec="iOS15.erf")
def erf(x: Output, context: Context) -> Any:
    """Return the error function of ``x``; ``(*)`` fp16 | fp32.

    The kernel's absolute error is that of f32 at one; ``faithful`` takes the series near zero.
    """
    if not context.is_faithful:
        return op.erf(x)
    square = op.multiply(x, x)
    terms = graph.floats(-1 / 42)
    for factor in (1 / 10, -1 / 3, 1):
        terms = op.add(op.multiply(terms, square), graph.floats(factor)).output(0)
    series = op.multiply(op.multiply(x, graph.floats(2 / np.sqrt(np.pi))), terms)
    return op.select(op.less(op.absolute(x), graph.floats(0.125)), series, op.erf(x))


@translates("round", spec="iOS15.round")
def round_(x: Output) -> Any:
    """Round to the nearest integer, halves to the even one, as MIL's value inference does."""
    return op.round(x, "half_to_even")


@translates("square", spec="iOS15.square")
def square(x: Output) -> Any:
    """Return ``x * x``; ``(*)`` fp16 | fp32 | int32."""
    return op.multiply(x, x)


@translates("exp2", spec="iOS15.exp2")
def exp2(x: Output, context: Context) -> Any:
    """Return ``2 ** x``; ``(*)`` fp16 | fp32 | int32."""
    exponent = graph.convert(x, Type.f32)
    power = op.power(graph.scalar_like(exponent, 2.0), exponent).output(0)
    return graph.convert(power, context.element_type())


@translates("inverse", spec="iOS15.inverse, iOS17.inverse")
def inverse(x: Output, epsilon: float = 1e-4) -> Any:
    """Return ``1 / (x + epsilon)``; ``(*)`` fp16 | fp32."""
    return op.divide(graph.scalar_like(x, 1.0), _shifted(x, epsilon))


@translates("log", spec="iOS15.log, iOS17.log")
def log(x: Output, epsilon: float = 1e-45) -> Any:
    """Return ``ln(x + epsilon)``; ``(*)`` fp16 | fp32. Zero gives -inf: see ``_shifted``."""
    return op.log(_shifted(x, epsilon))


@translates("rsqrt", spec="iOS15.rsqrt, iOS17.rsqrt")
def rsqrt(x: Output, epsilon: float = 1e-12) -> Any:
    """Return ``1 / sqrt(x + epsilon)``; ``(*)`` fp16 | fp32."""
    return op.divide(graph.scalar_like(x, 1.0), op.sqrt(_shifted(x, epsilon)))


@translates("threshold", spec="iOS15.threshold")
def threshold(x: Output, alpha: float) -> Any:
    """Return ``max(x, alpha)``; ``(*)`` fp16 | fp32 | int32."""
    if graph.is_float(x):
        return nans.limited(x, alpha, np.inf)
    return op.maximum(x, graph.scalar_like(x, alpha))


@translates("clip", spec="iOS15.clip, iOS17.clip")
def clip(x: Output, alpha: float, beta: float) -> Any:
    """Limit every element of ``x`` (``(*)`` fp16 | fp32) to [alpha, beta].

    With alpha > beta everything becomes beta, as in MIL's value inference.
    """
    return nans.limited(x, alpha, beta)


@translates("cast", spec="iOS15.cast, iOS17.cast")
def cast(x: Output, dtype: str, context: Context) -> Any:
    """Convert ``x`` to the declared dtype.

    Floating-point numbers truncate towards zero; a number that is not zero is true. An integer
    outside the range of the new dtype wraps, as NumPy's; a floating-point number is undefined.

    Args:
        x: ``(*)`` of any dtype.
        dtype: MIL's name of the new dtype; the declared type of the output says the same.
        context: The translation.
    """
    target = context.element_type()
    if target == Type.boolean and not graph.is_type(x, Type.boolean):
        return op.not_equal(x, graph.scalar_like(x, 0))
    from_bool = graph.is_type(x, Type.boolean)
    if target == Type.i32 and graph.is_float(x):
        # Convert is free to round; MIL truncates.
        x = graph.output(op.convert(_truncated(x), target))
    declared = context.declared().dtype.storage
    if target == Type.i32 and declared.itemsize < _WORD and not from_bool and not _is_shape(x):
        return _wrapped(x, np.iinfo(declared))
    return graph.convert(x, target)


def _wrapped(x: Output, bounds: np.iinfo[Any]) -> Any:
    """Take 32-bit integers, in which narrow ones are computed, into the range of a narrow dtype."""
    low, last = integers.number(bounds.min), integers.number((1 << bounds.bits) - 1)
    return op.add(op.bitwise_and(op.subtract(x, low), last), low)


def _is_shape(x: Output, depth: int = 4) -> bool:
    """Whether ``x`` holds sizes: they fit, and OpenVINO infers shapes through nothing but these."""
    node = x.get_node()
    kind = node.get_type_name()
    if kind == "ShapeOf":
        return True
    return (
        kind in ("Concat", "Convert", "Gather", "Squeeze", "StridedSlice", "Unsqueeze")
        and depth > 0
        and any(_is_shape(value, depth - 1) for value in node.input_values())
    )


def _truncated(x: Output) -> Any:
    return op.multiply(op.sign(x), op.floor(op.absolute(x)))


def _shifted(x: Output, epsilon: float) -> Any:
    """Add ``epsilon``, unless it is subnormal: kernels flush those to zero anyway."""
    if abs(epsilon) < np.finfo(np.float32).tiny:
        return x
    return op.add(x, graph.scalar_like(x, epsilon))
