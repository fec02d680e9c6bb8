"""What keeps nan where OpenVINO's CPU kernels would make a number of it.

Their minima, maxima and exponentials do. A comparison with nan is false, and Select is part of the
kernel that computes its operands, so that the choices here cost next to nothing. The exception is
an activation that a convolution or matrix product takes in: keeping nan would cost such a network
a fifth of its time, see :func:`takes_in`.

Enters and leaves: f32 ``Output``.
"""

from __future__ import annotations

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph

_PRODUCTS = frozenset(
    (
        "Convolution",
        "ConvolutionBackpropData",
        "GroupConvolution",
        "GroupConvolutionBackpropData",
        "MatMul",
    )
)
_LINEAR = frozenset(("Add", "Divide", "Multiply", "Subtract"))
_WITHOUT_NAN = frozenset(("Clamp", "Relu"))
_MOVES = frozenset(("Concat", "MaxPool", "Reshape", "Transpose"))
_DEPTH = 6
"""Bias, two steps of a batch norm, a residual sum, and what the activation itself may add."""


def kept(value: Output, x: Output) -> Output:
    """Return ``value``, and nan where ``x`` is, which broadcasts to the shape of ``value``."""
    is_number = op.less_equal(x, graph.floats(np.inf))
    return graph.output(op.select(is_number, value, x))


def limited(x: Output, low: float, high: float) -> Output:
    """Return ``min(max(x, low), high)``; nan stays, unless a product takes this in.

    Args:
        x: ``(*)``.
        low: Bound, or minus infinity.
        high: Bound, or infinity.
    """
    if takes_in(x) and low <= high:
        return graph.output(op.relu(x) if (low, high) == (0, np.inf) else op.clamp(x, low, high))
    if low > -np.inf:
        bound = graph.floats(low)
        x = graph.output(op.select(op.less_equal(x, bound), bound, x))
    if high < np.inf:
        bound = graph.floats(high)
        x = graph.output(op.select(op.less(bound, x), bound, x))
    return x


def takes_in(x: Output, depth: int = _DEPTH) -> bool:
    """Whether the kernel that computes ``x`` is a product, which limits its results itself.

    Biases, scales and residual sums are part of that kernel.

    Args:
        x: ``(*)``.
        depth: How many of these to look behind.
    """
    node = x.get_node()
    kind = node.get_type_name()
    if kind in _PRODUCTS:
        return True
    if kind not in _LINEAR or not depth:
        return False
    return any(takes_in(value, depth - 1) for value in node.input_values())


def has_none(x: Output, depth: int = _DEPTH) -> bool:
    """Whether ``x`` cannot hold nan, because a limit made numbers of it.

    Args:
        x: ``(*)``.
        depth: How many ops that move elements to look behind.
    """
    node = x.get_node()
    kind = node.get_type_name()
    if kind in _WITHOUT_NAN:
        return True
    data = node.input_values() if kind == "Concat" else node.input_values()[:1]
    return kind in _MOVES and depth > 0 and all(has_none(value, depth - 1) for value in data)


def all_numbers(x: Output, axes: Output, keep_dims: bool) -> Output:
    """Return whether there is no nan along ``axes``: booleans."""
    is_number = op.less_equal(x, graph.floats(np.inf))
    return graph.output(op.reduce_logical_and(is_number, axes, keep_dims))
