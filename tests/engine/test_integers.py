"""Integer arithmetic beyond the 24 bits of f32. Oracle: NumPy int32 and Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from tests.cases import Case, run
from tests.cases import integers as random_integers

LIMIT = 2**31
# fmt: off
EDGES = np.array(
    [
        0, 1, -1, 2, -2, 3, -3, 7, 255, -256, 46340, 46341, -46341, 2**24 - 1, 2**24, 2**24 + 1,
        -(2**24) - 1, 2**24 + 3, 100000007, -100000007, 2**30 - 1, 2**30 + 1, -(2**30) - 1,
        LIMIT - 1, LIMIT - 2, -LIMIT, -LIMIT + 1,
    ],
    np.int32,
)
# fmt: on
X = np.concatenate([np.repeat(EDGES, EDGES.size), random_integers(-LIMIT, LIMIT, 6000)])
Y = np.concatenate(
    [
        np.tile(EDGES, EDGES.size),
        random_integers(-LIMIT, LIMIT, 3000, seed=1),
        random_integers(-2000, 2000, 3000, seed=3),
    ]
)


def _wrapped(values: Any) -> Any:
    """Python's integers modulo 2^32, signed."""
    return np.asarray(np.asarray(values, object) % 2**32).astype(np.uint32).view(np.int32)


def _floor(x: int, y: int) -> int:
    return x // y if y else 0


def _truncated(x: int, y: int) -> int:
    return (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1) if y else 0


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "maximum": max,
    "minimum": min,
    "floor_div": _floor,
    "mod": lambda x, y: x - _floor(x, y) * y if y else 0,
    "real_div": _truncated,
}
COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}


def _result(op_type: str, inputs: dict[str, Any], varies: bool = False, **params: Any) -> Any:
    (found,), _ = run(Case(op_type, inputs, params), varies=varies)
    return found


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("op_type", ARITHMETIC)
def test_arithmetic_wraps_and_divides_by_zero_to_zero(op_type: str, varies: bool) -> None:
    found = _result(op_type, {"x": X, "y": Y}, varies)
    truth = [ARITHMETIC[op_type](int(x), int(y)) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_array_equal(found, _wrapped(truth))


@pytest.mark.parametrize("op_type", COMPARISONS)
def test_comparisons_see_every_bit(op_type: str) -> None:
    near = _wrapped(X.astype(object) + random_integers(-1, 2, X.size))
    for y in (Y, near):
        np.testing.assert_array_equal(
            _result(op_type, {"x": X, "y": y}), COMPARISONS[op_type](X, y)
        )


def test_operands_broadcast() -> None:
    x, y = EDGES[:, None], EDGES[None]
    np.testing.assert_array_equal(_result("less", {"x": x, "y": y}), x < y)
    truth = [[_floor(int(a), int(b)) for b in EDGES] for a in EDGES]
    np.testing.assert_array_equal(_result("floor_div", {"x": x, "y": y}), _wrapped(truth))


def _power(x: int, y: int) -> int:
    if y >= 0:
        return pow(x, y, 2**32)
    return 0 if x == 0 or abs(x) > 1 else x**-y


def test_powers_wrap_and_cut_off_fractions() -> None:
    exponents = np.array([0, 1, 2, 3, 17, 31, 32, 63, LIMIT - 1, -1, -2, -LIMIT], np.int32)
    x, y = np.repeat(EDGES, exponents.size), np.tile(exponents, EDGES.size)
    truth = [_power(int(a), int(b)) for a, b in zip(x, y, strict=True)]
    np.testing.assert_array_equal(_result("pow", {"x": x, "y": y}), _wrapped(truth))


@pytest.mark.parametrize("exponent", [0, 1, 2, 5, -1])
def test_a_known_power(exponent: int) -> None:
    found = _result("pow", {"x": EDGES}, y=np.full((2, 1), exponent, np.int32))
    truth = [[_power(int(a), exponent) for a in EDGES]] * 2
    np.testing.assert_array_equal(found, _wrapped(truth))


ROWS = np.stack([EDGES, EDGES[::-1], random_integers(-LIMIT, LIMIT, EDGES.size)])
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduce_sum": np.sum,
    "reduce_prod": np.prod,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_mean": lambda x, axis: np.trunc(np.mean(x.astype(np.float64), axis=axis)),
    "reduce_l1_norm": lambda x, axis: np.sum(np.abs(x), axis=axis),
    "reduce_sum_square": lambda x, axis: np.sum(x * x, axis=axis),
}


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("op_type", REDUCTIONS)
def test_reductions_wrap(op_type: str, axes: tuple[int, ...], varies: bool) -> None:
    x = ROWS.astype(object)
    truth = REDUCTIONS[op_type](ROWS if op_type == "reduce_mean" else x, axis=axes)
    found = _result(op_type, {"x": ROWS}, varies, axes=np.array(axes, np.int32), keep_dims=False)
    np.testing.assert_array_equal(found, _wrapped(np.vectorize(int, otypes=[object])(truth)))


def test_reductions_keep_dimensions_and_sum_nothing_to_zero() -> None:
    nothing = np.zeros((2, 0, 3), np.int32)
    axes = np.array([1], np.int32)
    found = _result("reduce_sum", {"x": nothing}, axes=axes, keep_dims=True)
    np.testing.assert_array_equal(found, np.zeros((2, 1, 3)))
    assert _result("reduce_max", {"x": ROWS}, axes=axes, keep_dims=True).shape == (3, 1)


def test_the_norm_of_integers_is_rounded_down() -> None:
    x = np.array([[46340, 0], [46339, 304], [46339, 305], [3, 4], [3, 3], [0, 0]], np.int32)
    found = _result("reduce_l2_norm", {"x": x}, axes=np.array([1], np.int32), keep_dims=False)
    np.testing.assert_array_equal(found, [46340, 46339, 46340, 5, 4, 0])


def test_logarithms_of_sums_are_cut_off() -> None:
    x = np.array([[3, 3, 3], [-9, -9, -9], [16777217, 0, 0], [-16777219, -16777219, -16777219]])
    axes = {"axes": np.array([1], np.int32), "keep_dims": False}
    found = _result("reduce_log_sum_exp", {"x": x.astype(np.int32)}, **axes)
    np.testing.assert_array_equal(found, [4, -7, 16777217, -16777217])
    found = _result("reduce_log_sum", {"x": np.array([[7, 8], [0, 1]], np.int32)}, **axes)
    np.testing.assert_array_equal(found, [2, 0])


def test_running_sums_wrap() -> None:
    found = _result("cumsum", {"x": ROWS}, axis=1)
    np.testing.assert_array_equal(found, np.cumsum(ROWS, 1, np.int64).astype(np.int32))


@pytest.mark.parametrize("op_type", ["abs", "square", "sign"])
def test_unary_ops_wrap(op_type: str) -> None:
    truth = {"abs": np.abs, "square": np.square, "sign": np.sign}[op_type](X)
    np.testing.assert_array_equal(_result(op_type, {"x": X}), truth)


@pytest.mark.parametrize("varies", [False, True])
def test_selection_keeps_every_bit(varies: bool) -> None:
    """Even where the condition is itself a comparison of integers, with which OpenVINO fuses it."""
    np.testing.assert_array_equal(
        _result("select", {"cond": Y > 0, "a": X, "b": Y}, varies), np.where(Y > 0, X, Y)
    )
    found = _result("band_part", {"x": ROWS}, varies, lower=0, upper=1)
    np.testing.assert_array_equal(found, np.triu(np.tril(ROWS, 1)))


def test_division_scatters() -> None:
    data = np.array([16777217, 100000007, -16777219, 2**30 + 1], np.int32)
    inputs = {"data": data, "updates": np.array([3, -2], np.int32)}
    inputs["indices"] = np.array([1, 2], np.int32)
    found = _result("scatter", inputs, mode="div", axis=0)
    np.testing.assert_array_equal(found, [16777217, 33333335, 8388609, 2**30 + 1])


def test_ranges_are_exact() -> None:
    ends = {"start": np.int32(2**24 + 1), "end": np.int32(2**24 + 9), "step": np.int32(2)}
    np.testing.assert_array_equal(_result("range_1d", ends), np.arange(2**24 + 1, 2**24 + 9, 2))


@pytest.mark.parametrize(
    ("x_shape", "y_shape", "transposed"),
    [
        ((3, 5), (5, 4), (False, False)),
        ((2, 5, 3), (4, 5), (True, True)),
        ((5,), (2, 5, 4), (False, False)),
        ((3, 5), (5,), (False, False)),
        ((5,), (5,), (False, False)),
        ((2, 700), (700, 3), (False, False)),
        ((2, 0), (0, 3), (False, False)),
    ],
)
@pytest.mark.parametrize("varies", [False, True])
def test_matrix_products_wrap(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], transposed: tuple[bool, bool], varies: bool
) -> None:
    x = random_integers(-LIMIT, LIMIT, *x_shape)
    y = random_integers(-LIMIT, LIMIT, *y_shape, seed=1)
    parameters = [op.parameter([-1] * a.ndim if varies else a.shape, ov.Type.i32) for a in (x, y)]
    product = integers.matmul(*(graph.output(p) for p in parameters), *transposed)
    model = ov.Model([op.result(product)], parameters, "matmul")
    found = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x, y])[0]
    left = np.swapaxes(x, -1, -2) if transposed[0] else x
    right = np.swapaxes(y, -1, -2) if transposed[1] else y
    np.testing.assert_array_equal(found, left @ right)
