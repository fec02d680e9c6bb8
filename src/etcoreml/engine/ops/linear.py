"""MIL family ``linear``. Source: coremltools 9.0 ``iOS15/linear.py``, ``iOS17/linear.py``."""

from __future__ import annotations

from typing import Any

from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph, integers, kernels
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import Weight
from etcoreml.mil.program import Array


@translates("linear", spec="iOS15.linear, iOS17.linear")
def linear(
    x: Output, weight: Output | Weight | Array, context: Context, bias: Output | None = None
) -> Any:
    """Return ``x @ weight.T + bias``.

    Args:
        x: ``(*D, D_in)`` fp16 | fp32.
        weight: ``(D_out, D_in)``; since iOS17 it may be int32, as may ``bias``.
        context: The translation.
        bias: ``(D_out,)``.

    Returns:
        ``(*D, D_out)``.
    """
    if not isinstance(weight, Output):
        packed = None
        if context.scope.translation.uses_kernels:
            packed = weight.pack() if isinstance(weight, Weight) else kernels.pack_half(weight)
        if packed is not None:
            return kernels.linear(x, packed, bias)
        # Through the scope, which builds a weight once for all that share it.
        stored = weight if isinstance(weight, Weight) else context.constant("weight")
        assert stored is not None
        weight = context.scope.output(stored, context.label)
    type_ = x.get_element_type()
    y = _product(x, graph.convert(weight, type_), False, True)
    return y if bias is None else op.add(y, graph.convert(bias, type_))


@translates("matmul", spec="iOS15.matmul, iOS17.matmul")
def matmul(
    x: Output, y: Output, context: Context, transpose_x: bool = False, transpose_y: bool = False
) -> Any:
    """Multiply matrices with NumPy's rules for batches and vectors; fp16 | fp32 | int32.

    Args:
        x: ``(*, a, b)`` or ``(b,)``.
        y: ``(*, b, c)`` or ``(b,)``; a constant may be of another dtype than the result.
        context: The translation.
        transpose_x: Swap the last two dimensions of ``x`` first.
        transpose_y: Swap the last two dimensions of ``y`` first.
    """
    type_ = context.element_type()
    x, y = graph.convert(x, type_), graph.convert(y, type_)
    # Constants are left to OpenVINO, which rearranges them.
    if context.scope.translation.uses_kernels and context.constant("y") is None:
        is_row_by_row = transpose_y and not transpose_x
        if is_row_by_row and kernels.are_few_rows(x, y):
            return kernels.dot_products(x, y)
    return _product(x, y, transpose_x, transpose_y)


def _product(x: Output, y: Output, transpose_x: bool, transpose_y: bool) -> Any:
    multiply = integers.matmul if integers.is_int32(x) else op.matmul
    return multiply(x, y, transpose_x, transpose_y)


_BATCHED = {"abcd,adce->abce": ((0, 2, 1, 3), (0, 2, 1, 3)), "abc,cbd->abd": ((1, 0, 2), (1, 0, 2))}
"""The two equations of MIL, in alphabetical letters, with the orders that make them a matmul."""


@translates("einsum", spec="iOS15.einsum")
def einsum(values: tuple[Output, ...], equation: str) -> Any:
    """Multiply tensors along dimensions -1 and -3, the others being batch and broadcast.

    Args:
        values: Two tensors of rank 3 or 4, fp16 | fp32.
        equation: ``nchw,nwhu->nchu`` or ``chw,whr->chr`` in any letters; OpenVINO's own einsum,
            which does not broadcast, takes any other.
    """
    orders = _BATCHED.get(_canonical(equation))
    if orders is None:
        return op.einsum([value.get_node() for value in values], equation.replace(" ", ""))
    x, y = (graph.transpose(v, order) for v, order in zip(values, orders, strict=True))
    product = op.matmul(x, y, False, False).output(0)
    return graph.transpose(product, orders[0])


def _canonical(equation: str) -> str:
    letters: dict[str, str] = {}
    return "".join(
        letters.setdefault(c, chr(ord("a") + len(letters))) if c.isalpha() else c
        for c in equation.replace(" ", "")
    )
