"""Arithmetic of 32-bit integers, exact and wrapping as NumPy's.

OpenVINO's CPU kernels add, subtract, multiply, and take minima, maxima and running sums in i32,
but divide, compare and reduce in f32, which holds 24 bits. What they lack is put together here
from what they have; signs and zeros survive the conversion to f32.

Enters and leaves: i32 ``Output``. The semantics are those of NumPy's int32, which MIL's value
inference uses; division by zero, of which Core ML says nothing, gives zero as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph

_BITS = 31
_LIMB_BITS = 8
_LIMBS = 4
_EXACT_TERMS = 256
"""So many products of two 8-bit limbs sum exactly in f32."""


def number(value: int) -> Output:
    """Return a rank-0 i32 constant."""
    return graph.output(op.constant(np.array(value, np.int32)))


def is_int32(x: Output) -> bool:
    """Whether the elements are computed as 32-bit integers."""
    return graph.is_type(x, Type.i32)


def equal(x: Output, y: Output) -> Output:
    """Return ``x == y``: a difference, even one that wraps, is zero of equals only."""
    return graph.output(op.equal(op.subtract(x, y), number(0)))


def less_equal(x: Output, y: Output) -> Output:
    """Return ``x <= y``: whether the lesser of the two is ``x``."""
    return equal(graph.output(op.minimum(x, y)), x)


def less(x: Output, y: Output) -> Output:
    """Return ``x < y``."""
    return graph.output(op.logical_not(less_equal(y, x)))


def select(cond: Output, x: Output, y: Output) -> Output:
    """Return ``x`` where ``cond`` and ``y`` elsewhere; Select fuses with comparisons into f32."""
    is_x = graph.convert(cond, x.get_element_type())
    return graph.output(op.add(op.multiply(is_x, op.subtract(x, y)), y))


def by_halves(move: Callable[[Output], Any], x: Output) -> Output:
    """Apply a kernel that moves elements through f32 to both halves of 16 bits."""
    upper = move(graph.output(op.bitwise_right_shift(x, number(16))))
    lower = move(graph.output(op.bitwise_and(x, number(0xFFFF))))
    return graph.output(op.add(op.multiply(upper, number(1 << 16)), lower))


def floor_div(x: Output, y: Output) -> Output:
    """Return ``x // y``, 0 where ``y`` is 0."""
    return _divided(x, y)[0]


def mod(x: Output, y: Output) -> Output:
    """Return ``x - (x // y) * y``, which has the sign of ``y``; 0 where ``y`` is 0."""
    return _divided(x, y)[1]


def trunc_div(x: Output, y: Output) -> Output:
    """Return the quotient rounded towards zero, 0 where ``y`` is 0."""
    quotient, remainder = _divided(x, y)
    is_negative = op.logical_xor(_is_negative(x), _is_negative(y))
    is_below = op.logical_and(is_negative, op.not_equal(remainder, number(0)))
    return graph.output(op.add(quotient, graph.convert(graph.output(is_below), Type.i32)))


def _divided(x: Output, y: Output) -> tuple[Output, Output]:
    """Return quotient, rounded down, and remainder.

    An estimate in f32 is wrong by up to 2^8; that of what it leaves over by one.
    """
    is_zero = graph.convert(graph.output(op.equal(y, number(0))), Type.i32)
    divisor = graph.output(op.add(y, is_zero))
    quotient = _estimate(x, divisor)
    rest = graph.output(op.subtract(x, op.multiply(quotient, divisor)))
    more = _estimate(rest, divisor)
    quotient = graph.output(op.add(quotient, more))
    rest = graph.output(op.subtract(rest, op.multiply(more, divisor)))
    # Numbers have more negatives than positives: compare the negatives of the magnitudes.
    is_whole = graph.convert(
        less_equal(_minus_magnitude(rest), _minus_magnitude(divisor)), Type.i32
    )
    opposite = graph.convert(
        graph.output(op.logical_xor(_is_negative(rest), _is_negative(divisor))), Type.i32
    )
    step = graph.output(
        op.multiply(is_whole, op.subtract(number(1), op.multiply(opposite, number(2))))
    )
    quotient = graph.output(op.add(quotient, step))
    rest = graph.output(op.subtract(rest, op.multiply(step, divisor)))
    differs = op.logical_xor(_is_negative(rest), _is_negative(divisor))
    below = graph.convert(
        graph.output(op.logical_and(differs, op.not_equal(rest, number(0)))), Type.i32
    )
    quotient = graph.output(op.subtract(quotient, below))
    rest = graph.output(op.add(rest, op.multiply(below, divisor)))
    is_defined = graph.output(op.subtract(number(1), is_zero))
    return (
        graph.output(op.multiply(quotient, is_defined)),
        graph.output(op.multiply(rest, is_defined)),
    )


def _estimate(x: Output, y: Output) -> Output:
    quotient = op.divide(op.convert(x, Type.f32), op.convert(y, Type.f32)).output(0)
    return graph.convert(quotient, Type.i32)


def _is_negative(x: Output) -> Output:
    return graph.output(op.less(x, number(0)))


def _minus_magnitude(x: Output) -> Output:
    return graph.output(op.minimum(x, op.subtract(number(0), x)))


def power(x: Output, y: Output) -> Output:
    """Return ``x ** y`` by squaring; a negative exponent gives the truncated fraction.

    ``0 ** -1`` is 0, as division by zero is.
    """
    known = _known(y)
    if known is not None and known.size == 1 and known.item() >= 0:
        return _known_power(x, int(known.item()), y)
    is_negative = _is_negative(y)
    exponent = graph.output(op.absolute(y))
    result = graph.output(op.broadcast(number(1), graph.shape_of(y)))
    square = x
    for bit in range(_BITS):
        is_set = op.bitwise_and(op.bitwise_right_shift(exponent, number(bit)), number(1))
        # 1 + bit * (square - 1) is the square or 1.
        factor = op.add(op.multiply(is_set, op.subtract(square, number(1))), number(1))
        result = graph.output(op.multiply(result, factor))
        square = graph.output(op.multiply(square, square))
    is_unit = op.logical_or(op.equal(x, number(1)), op.equal(x, number(-1)))
    is_whole = op.logical_or(op.logical_not(is_negative), is_unit).output(0)
    return graph.output(op.multiply(result, graph.convert(is_whole, Type.i32)))


def _known_power(x: Output, exponent: int, y: Output) -> Output:
    result: Output | None = None
    square = x
    while exponent:
        if exponent & 1:
            result = square if result is None else graph.output(op.multiply(result, square))
        exponent >>= 1
        if exponent:
            square = graph.output(op.multiply(square, square))
    if result is None:
        result = graph.output(op.broadcast(number(1), graph.shape_of(x)))
    if graph.rank(y) == 0:
        return result
    # The exponent broadcasts like any operand.
    return graph.output(op.broadcast(result, graph.shape_of(y), "bidirectional"))


def _known(x: Output) -> Any:
    node = x.get_node()
    return node.get_data() if node.get_type_name() == "Constant" else None


def reduce_sum(x: Output, axes: Iterable[int], keep_dims: bool) -> Output:
    """Return the sum over ``axes``, counted from the front: the last of the running sums."""

    def total(value: Output, axis: int) -> Output:
        size = graph.known_size(value, axis)
        if not size:
            value = graph.output(op.pad(value, *_one_more(value, axis), "constant", number(0)))
        return _element(graph.output(op.cumsum(value, graph.integer(axis))), axis, -1)

    return _one_by_one(total, x, axes, keep_dims)


def _one_more(x: Output, axis: int) -> tuple[Output, Output]:
    rank = graph.rank(x)
    return graph.integers(*[int(i == axis) for i in range(rank)]), graph.integers(*[0] * rank)


def reduce_extreme(x: Output, axes: Iterable[int], keep_dims: bool, mode: str) -> Output:
    """Return the ``max`` or ``min`` over ``axes``, counted from the front."""

    def best(value: Output, axis: int) -> Output:
        return graph.output(op.topk(value, graph.integer(1), axis, mode, "value").output(0))

    return _one_by_one(best, x, axes, keep_dims)


def reduce_mean(x: Output, axes: Iterable[int], keep_dims: bool) -> Output:
    """Return the mean over ``axes``, counted from the front, rounded towards zero.

    With ``x = q n + r`` the sum of ``q`` cannot overflow where that of ``x`` would.
    """
    axes = tuple(axes)
    sizes = graph.concat([graph.integers(1), *(graph.size_of(x, axis) for axis in axes)], 0)
    product = op.reduce_prod(sizes, graph.integers(0), False).output(0)
    count = graph.convert(product, Type.i32)
    quotient, remainder = _divided(x, count)
    over, left = _divided(reduce_sum(remainder, axes, keep_dims), count)
    floor = graph.output(op.add(reduce_sum(quotient, axes, keep_dims), over))
    is_cut = op.logical_and(_is_negative(floor), op.not_equal(left, number(0)))
    return graph.output(op.add(floor, graph.convert(is_cut.output(0), Type.i32)))


def root(x: Output) -> Output:
    """Return the square root, rounded down; negatives, whose root is nan, give the least number."""
    wide = graph.convert(x, Type.f32)
    estimate = graph.convert(op.sqrt(wide).output(0), Type.i32)
    is_high = less(x, graph.output(op.multiply(estimate, estimate)))
    return graph.output(op.subtract(estimate, graph.convert(is_high, Type.i32)))


def _one_by_one(
    reduce: Callable[[Output, int], Output], x: Output, axes: Iterable[int], keep_dims: bool
) -> Output:
    axes = tuple(axes)
    for axis in axes:
        x = reduce(x, axis)
    return x if keep_dims else graph.squeeze(x, *axes)


def _element(x: Output, axis: int, index: int) -> Output:
    """Return the element at ``index`` along ``axis``, a dimension of size one."""
    return graph.output(op.gather(x, graph.integers(index), graph.integer(axis)))


def matmul(x: Output, y: Output, transpose_x: bool, transpose_y: bool) -> Output:
    """Return the matrix product, with NumPy's rules for batches and vectors.

    The operands are cut into limbs of 8 bits, whose products f32 sums exactly over 256 terms.
    """
    is_row, is_column = graph.rank(x) == 1, graph.rank(y) == 1
    x = graph.unsqueeze(x, 0) if is_row else _swapped(x, transpose_x)
    y = graph.unsqueeze(y, 1) if is_column else _swapped(y, transpose_y)
    inner, terms = graph.rank(x) - 1, graph.known_size(x, -1)
    if terms is None:
        terms = graph.known_size(y, -2)
    if not terms:
        # (*, M, K, 1) times (*, 1, K, N): large, but of any K.
        spread = op.multiply(graph.unsqueeze(x, -1), graph.unsqueeze(y, -3)).output(0)
        product = reduce_sum(spread, (graph.rank(spread) - 2,), False)
    else:
        sizes = [min(_EXACT_TERMS, terms - i) for i in range(0, terms, _EXACT_TERMS)]
        pairs = zip(_parts(x, inner, sizes), _parts(y, graph.rank(y) - 2, sizes), strict=True)
        product = _sum([_limb_product(left, right) for left, right in pairs])
    return graph.squeeze(product, *([-2] if is_row else []), *([-1] if is_column else []))


def _swapped(x: Output, is_wanted: bool) -> Output:
    rank = graph.rank(x)
    return graph.transpose(x, (*range(rank - 2), rank - 1, rank - 2)) if is_wanted else x


def _parts(x: Output, axis: int, sizes: list[int]) -> list[Output]:
    if len(sizes) < 2:
        return [x]
    split = op.variadic_split(x, graph.integer(axis), graph.integers(*sizes))
    return [graph.output(part) for part in split.outputs()]


def _limb_product(x: Output, y: Output) -> Output:
    left, right = _limbs(x), _limbs(y)
    total = []
    for order in range(_LIMBS):
        products = [op.matmul(left[i], right[order - i], False, False) for i in range(order + 1)]
        whole = _sum([graph.convert(product.output(0), Type.i32) for product in products])
        total.append(graph.output(op.multiply(whole, number(1 << _LIMB_BITS * order))))
    return _sum(total)


def _limbs(x: Output) -> list[Output]:
    """Return the bytes of the numbers, the lowest first, as f32."""
    shifts = (op.bitwise_right_shift(x, number(_LIMB_BITS * i)) for i in range(_LIMBS))
    last = number((1 << _LIMB_BITS) - 1)
    return [graph.convert(op.bitwise_and(part, last).output(0), Type.f32) for part in shifts]


def _sum(values: list[Output]) -> Output:
    total = values[0]
    for value in values[1:]:
        total = graph.output(op.add(total, value))
    return total
