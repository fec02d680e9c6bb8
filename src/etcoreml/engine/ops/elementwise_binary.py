"""MIL family ``elementwise_binary``, with NumPy broadcasting.

Source: coremltools 9.0 ``iOS15/elementwise_binary.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers, nans
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates

Build = Callable[[Output, Output], Any]


def _arithmetic(build: Build, op_type: str, on_integers: Build | None = None) -> None:
    """Register an op whose operands have the dtype of its result."""

    def translator(x: Output, y: Output, context: Context) -> Any:
        type_ = context.element_type()
        chosen = on_integers if on_integers is not None and type_ == Type.i32 else build
        return chosen(graph.convert(x, type_), graph.convert(y, type_))

    _register(translator, op_type, "``(*)`` fp16 | fp32 | int32")


def _comparison(build: Build, op_type: str, on_integers: Build) -> None:
    """Register an op that returns booleans; mixed operands meet in the floating-point one."""

    def translator(x: Output, y: Output) -> Any:
        if x.get_element_type() != y.get_element_type():
            x, y = graph.convert(x, Type.f32), graph.convert(y, Type.f32)
        return (on_integers if integers.is_int32(x) else build)(x, y)

    _register(translator, op_type, "``(*)`` bool")


def _logical(build: Build, op_type: str) -> None:
    def translator(x: Output, y: Output) -> Any:
        return build(x, y)

    _register(translator, op_type, "``(*)`` bool")


def _register(translator: Callable[..., Any], op_type: str, result: str) -> None:
    translator.__doc__ = f"Return ``{op_type}(x, y)`` for every pair of elements: {result}."
    translates(op_type, spec=f"iOS15.{op_type}")(translator)


def _floor_div(x: Output, y: Output) -> Any:
    """Correct a quotient that OpenVINO, multiplying by the inverse, rounds across an integer."""
    quotient = op.floor(op.divide(x, y))
    one = graph.floats(1)
    size, end = op.absolute(y), op.multiply(x, op.sign(y))
    is_low = op.less_equal(op.multiply(op.add(quotient, one), size), end)
    is_high = op.less(end, op.multiply(quotient, size))
    raised = op.select(is_low, op.add(quotient, one), quotient)
    return op.select(is_high, op.subtract(quotient, one), raised)


def _extreme(build: Build) -> Build:
    """Keep nan of the first operand too; the kernel keeps that of the second one."""

    def extreme(x: Output, y: Output) -> Any:
        best = graph.output(build(x, y))
        limits_a_product = graph.is_constant(y) and nans.takes_in(x)
        return best if limits_a_product else nans.kept(best, x)

    return extreme


_arithmetic(op.add, "add")
_arithmetic(op.subtract, "sub")
_arithmetic(op.multiply, "mul")
_arithmetic(_extreme(op.maximum), "maximum", op.maximum)
_arithmetic(_extreme(op.minimum), "minimum", op.minimum)
_arithmetic(op.power, "pow", integers.power)
_arithmetic(op.floor_mod, "mod", integers.mod)
_arithmetic(op.divide, "real_div", integers.trunc_div)
_arithmetic(_floor_div, "floor_div", integers.floor_div)

_comparison(op.equal, "equal", integers.equal)
_comparison(op.not_equal, "not_equal", lambda x, y: op.logical_not(integers.equal(x, y)))
# OpenVINO's Greater and GreaterEqual are true of nan.
_comparison(lambda x, y: op.less(y, x), "greater", lambda x, y: integers.less(y, x))
_comparison(
    lambda x, y: op.less_equal(y, x), "greater_equal", lambda x, y: integers.less_equal(y, x)
)
_comparison(op.less, "less", integers.less)
_comparison(op.less_equal, "less_equal", integers.less_equal)

_logical(op.logical_and, "logical_and")
_logical(op.logical_or, "logical_or")
_logical(op.logical_xor, "logical_xor")
