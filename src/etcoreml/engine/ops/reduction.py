"""MIL family ``reduction``. Source: coremltools 9.0, ``reduction.py`` of iOS15 and iOS17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers, nans
from etcoreml.engine.registry import translates

Build = Callable[[Any, Output, bool], Any]
OnIntegers = Callable[[Output, tuple[int, ...], bool], Output]


# OpenVINO 2026.4 computes garbage for a reduction of rank 3 over the first or last axis into whose
# kernel it fuses what follows, a constant for each place of the middle axis. Rank 4 is right.
_FUSED_WRONGLY = 3


def _over_axes(build: Build, op_type: str, on_integers: OnIntegers) -> None:
    """Register a reduction over ``axes``, all of them if absent."""

    def translator(
        x: Output,
        axes: tuple[int, ...] | None = None,
        keep_dims: bool = False,
    ) -> Any:
        rank = graph.rank(x)
        over = graph.axes_of(range(rank) if axes is None else axes, rank)
        if not over:  # each element by itself
            x, over, keep_dims = graph.unsqueeze(x, rank), (rank,), False
        lifted = rank == _FUSED_WRONGLY and over in ((0,), (rank - 1,))
        if lifted:
            x, over = graph.unsqueeze(x, 0), (over[0] + 1,)
        if integers.is_int32(x):
            result = on_integers(x, over, keep_dims)
        else:
            result = build(x, graph.integers(*over), keep_dims)
        return graph.squeeze(graph.output(result), 0) if lifted else result

    translator.__doc__ = (
        f"Apply ``{op_type}`` over ``axes``: ``(*)`` fp16 | fp32 | int32, in the dtype of ``x``. "
        "Integers wrap; fractions of integers are cut off."
    )
    translates(op_type, spec=f"iOS15.{op_type}")(translator)


def _extreme_number(build: Build) -> Build:
    """Keep nan, which kernels pass over."""

    def extreme(x: Any, axes: Output, keep_dims: bool) -> Any:
        is_number = nans.all_numbers(x, axes, keep_dims)
        return op.select(is_number, build(x, axes, keep_dims), graph.floats(np.nan))

    return extreme


def _log_sum(x: Output, axes: Output, keep_dims: bool) -> Any:
    return op.log(op.reduce_sum(x, axes, keep_dims))


def _log_sum_exp(x: Output, axes: Output, keep_dims: bool) -> Any:
    """Subtract the maximum first, as MIL does: ``exp`` would overflow from 89 on."""
    peak = op.reduce_max(x, axes, True)
    below = op.subtract(x, peak).output(0)
    total = op.log(op.reduce_sum(nans.kept(op.exp(below).output(0), below), axes, True))
    result = op.add(total, peak)
    return result if keep_dims else op.squeeze(result, axes)


def _sum_square(x: Output, axes: Output, keep_dims: bool) -> Any:
    return op.reduce_sum(op.multiply(x, x), axes, keep_dims)


def _integer_l1(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    return integers.reduce_sum(graph.output(op.absolute(x)), axes, keep_dims)


def _integer_sum_square(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    return integers.reduce_sum(graph.output(op.multiply(x, x)), axes, keep_dims)


def _integer_l2(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    return integers.root(_integer_sum_square(x, axes, keep_dims))


def _integer_log_sum(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    total = integers.reduce_sum(x, axes, keep_dims)
    return graph.convert(op.log(op.convert(total, Type.f32)).output(0), Type.i32)


def _integer_log_sum_exp(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    """Add the logarithm's whole part to the maximum; what is left over rounds negatives up."""
    peak = integers.reduce_extreme(x, axes, True, "max")
    below = op.convert(op.subtract(x, peak), Type.f32)
    excess = op.log(op.reduce_sum(op.exp(below), graph.integers(*axes), True))
    whole = op.floor(excess)
    result = op.add(peak, op.convert(whole, Type.i32))
    is_cut = op.logical_and(
        op.less(result, integers.number(0)), op.greater(op.subtract(excess, whole), graph.floats(0))
    )
    truncated = op.add(result, op.convert(is_cut, Type.i32)).output(0)
    return truncated if keep_dims else graph.squeeze(truncated, *axes)


def _integer_prod(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
    return graph.output(op.reduce_prod(x, graph.integers(*axes), keep_dims))


def _extreme(mode: str) -> OnIntegers:
    def build(x: Output, axes: tuple[int, ...], keep_dims: bool) -> Output:
        return integers.reduce_extreme(x, axes, keep_dims, mode)

    return build


_over_axes(op.reduce_l1, "reduce_l1_norm", _integer_l1)
_over_axes(op.reduce_l2, "reduce_l2_norm", _integer_l2)
_over_axes(_log_sum, "reduce_log_sum", _integer_log_sum)
_over_axes(_log_sum_exp, "reduce_log_sum_exp", _integer_log_sum_exp)
_over_axes(_extreme_number(op.reduce_max), "reduce_max", _extreme("max"))
_over_axes(op.reduce_mean, "reduce_mean", integers.reduce_mean)
_over_axes(_extreme_number(op.reduce_min), "reduce_min", _extreme("min"))
_over_axes(op.reduce_prod, "reduce_prod", _integer_prod)
_over_axes(op.reduce_sum, "reduce_sum", integers.reduce_sum)
_over_axes(_sum_square, "reduce_sum_square", _integer_sum_square)


def _arg(mode: str, op_type: str) -> None:
    """Register ``reduce_argmax`` or ``reduce_argmin``."""

    def translator(
        x: Output, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
    ) -> Any:
        position = graph.axis_of(axis, graph.rank(x))
        best = op.topk(x, graph.integer(1), position, mode, "value", "i32", stable=True)
        index = best.output(1)
        return index if keep_dims else graph.squeeze(index, position)

    translator.__doc__ = (
        f"Index of the {mode}imum along ``axis``, the first of equals: int32 (uint16 from iOS17)."
    )
    translates(op_type, spec=f"iOS15.{op_type}, iOS17.{op_type}")(translator)


_arg("max", "reduce_argmax")
_arg("min", "reduce_argmin")
