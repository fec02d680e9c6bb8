"""``faithful`` fp16 results bit for bit, over every fp16 number where an op takes one operand.

Oracle: NumPy in float64 (torch for erf), rounded once to fp16. Ours is rounded twice, to f32 and to
fp16: where the exact result lies within f32's error of half-way between two fp16 numbers, the
other one may come out. ``ULPS`` names the ops where that happens, or where the oracle's formula
and the kernel's differ; everything else is equal in all bits, nans aside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.cases import Case, rng, run

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
"""All fp16 numbers: zeros, subnormals, normals, infinities and nans."""

h = np.float16

ULPS = {
    # Transcendental: f32 kernels, then rounding to fp16.
    **dict.fromkeys(("acos", "atan", "cos", "cosh", "erf", "exp", "exp2", "log"), 1),
    **dict.fromkeys(("scaled_tanh", "sigmoid", "silu", "sin", "sinh", "softplus", "tan"), 1),
    # e^x - 1 loses in f32 what e^x has below one: 1 ulp of subnormals, and the sign of -0.
    "elu": 1,
    # 1 + erf and 1 + tanh cancel for negatives: multiples of 6e-8, a subnormal ulp.
    "gelu EXACT": 6,
    "gelu TANH_APPROXIMATION": 3,
    "gelu SIGMOID_APPROXIMATION": 1,
}
"""Units in the last place of fp16 that a result may be off, and why."""


def _erf(x: Any) -> Any:
    return torch.erf(torch.from_numpy(x)).numpy()


def _or_nan(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.where(np.isnan(x), x, function(x))


UNARY: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": _erf,
    "exp": np.exp,
    "exp2": np.exp2,
    "floor": np.floor,
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "round": np.round,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sign": np.sign,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sin": np.sin,
    "sinh": np.sinh,
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: np.where(np.isinf(x), np.nan, x / (1 + np.abs(x))),
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
}
A, B = float(h(0.3)), float(h(0.7))
WITH_PARAMETERS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "clamped_relu": (
        {"alpha": h(0.25), "beta": h(3)},
        _or_nan(lambda x: np.minimum(np.where(x >= 0, x, x / 4), 3)),
    ),
    "clip": ({"alpha": h(-1), "beta": h(2)}, lambda x: np.clip(x, -1, 2)),
    "elu": ({"alpha": h(0.5)}, lambda x: np.where(x > 0, x, np.expm1(x) / 2)),
    "gelu EXACT": ({"mode": "EXACT"}, lambda x: _gelu(x, _erf(x / np.sqrt(2)))),
    "gelu TANH_APPROXIMATION": (
        {"mode": "TANH_APPROXIMATION"},
        lambda x: _gelu(x, np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "gelu SIGMOID_APPROXIMATION": (
        {"mode": "SIGMOID_APPROXIMATION"},
        lambda x: x / (1 + np.exp(-1.702 * x)),
    ),
    "inverse": ({"epsilon": h(0)}, lambda x: 1 / x),
    "leaky_relu": ({"alpha": h(0.25)}, lambda x: np.where(x >= 0, x, x / 4)),
    "linear_activation": ({"alpha": h(0.3), "beta": h(0.7)}, lambda x: A * x + B),
    "log": ({"epsilon": h(0)}, np.log),
    "rsqrt": ({"epsilon": h(0)}, lambda x: 1 / np.sqrt(x)),
    "scaled_tanh": ({"alpha": h(0.3), "beta": h(0.7)}, lambda x: A * np.tanh(B * x)),
    "sigmoid_hard": ({"alpha": h(0.25), "beta": h(0.5)}, lambda x: np.clip(x / 4 + 0.5, 0, 1)),
    "threshold": ({"alpha": h(0.5)}, lambda x: np.maximum(x, 0.5)),
    "thresholded_relu": ({"alpha": h(0.5)}, _or_nan(lambda x: np.where(x >= 0.5, x, 0))),
}


def _gelu(x: Any, y: Any) -> Any:
    return np.where(np.isneginf(x), np.nan, 0.5 * x * (1 + y))


def _faithful(op_type: str, inputs: dict[str, Any], **params: Any) -> Any:
    (found,), _ = run(Case(op_type, inputs, params), dtype=np.float16, numerics="faithful")
    return found


def _rounded(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float16)


def _ordinals(values: Any) -> Any:
    """Number fp16 values in their order, both zeros apart, so that neighbours differ by one."""
    bits = values.view(np.uint16).astype(np.int64)
    return np.where(bits & 0x8000, -1 - (bits & 0x7FFF), bits)


def _check(found: Any, truth: Any, ulps: int = 0) -> None:
    assert found.dtype == np.float16
    np.testing.assert_array_equal(np.isnan(found), np.isnan(truth))
    distance = np.abs(_ordinals(found) - _ordinals(truth))
    distance[np.isnan(found)] = 0
    worst = np.argmax(distance)
    assert distance.flat[worst] <= ulps, (worst, found.flat[worst], truth.flat[worst])


@pytest.mark.parametrize("name", [*UNARY, *WITH_PARAMETERS])
def test_one_operand(name: str) -> None:
    params, function = WITH_PARAMETERS.get(name) or ({}, UNARY[name])
    with np.errstate(all="ignore"):
        truth = _rounded(function(EVERY.astype(np.float64)))
    # Beside the ulp, -0 and +0 are neighbours here that differ by one.
    _check(_faithful(name.split()[0], {"x": EVERY}, **params), truth, ULPS.get(name, 0))


SPECIAL = np.array(
    [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 65504, -65504, 6e-8, -6e-8, 6.1e-5, 1.5e-5, 2049, 3],
    np.float16,
)
X = np.concatenate([np.repeat(SPECIAL, SPECIAL.size), rng(1).permutation(EVERY)])
Y = np.concatenate([np.tile(SPECIAL, SPECIAL.size), rng(2).permutation(EVERY)])


@pytest.mark.parametrize(
    ("op_type", "function"),
    [
        ("add", np.add),
        ("sub", np.subtract),
        ("mul", np.multiply),
        ("real_div", np.divide),
        ("maximum", np.maximum),
        ("minimum", np.minimum),
        ("pow", np.power),
    ],
)
def test_two_operands(op_type: str, function: Any) -> None:
    with np.errstate(all="ignore"):
        truth = _rounded(function(X.astype(np.float64), Y.astype(np.float64)))
    found = _faithful(op_type, {"x": X, "y": Y})
    if op_type in ("maximum", "minimum"):
        # Of two zeros NumPy may return either.
        found, truth = (np.where(value == 0, h(0), value) for value in (found, truth))
    _check(found, truth, 1 if op_type == "pow" else 0)


@pytest.mark.parametrize("op_type", ["floor_div", "mod"])
def test_division_with_remainder(op_type: str) -> None:
    """Where f32 holds the quotient: beyond it, and with infinities, the remainder is undefined."""
    with np.errstate(all="ignore"):
        quotient = np.abs(X.astype(np.float64) / Y)
    is_held = (quotient < 2**11) & np.isfinite(Y)
    x, y = X[is_held], Y[is_held]
    function = {"floor_div": np.floor_divide, "mod": np.mod}[op_type]
    truth = _rounded(function(x.astype(np.float64), y.astype(np.float64)))
    np.testing.assert_array_equal(_faithful(op_type, {"x": x, "y": y}), truth)


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
@pytest.mark.parametrize(
    "op_type", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
)
def test_comparisons(op_type: str, numerics: str) -> None:
    """Nothing is less, greater or equal to a nan, in any mode."""
    case = Case(op_type, {"x": X, "y": Y})
    (found,), _ = run(case, dtype=np.float16, numerics=numerics)
    np.testing.assert_array_equal(found, getattr(np, op_type)(X, Y))


SQUARE = EVERY.reshape(256, 256)


@pytest.mark.parametrize(
    ("op_type", "inputs", "params", "truth"),
    [
        ("transpose", {"x": SQUARE}, {"perm": np.array([1, 0], np.int32)}, SQUARE.T),
        ("reverse", {"x": EVERY}, {"axes": np.array([0], np.int32)}, EVERY[::-1]),
        ("concat", {"values": (EVERY, EVERY)}, {"axis": 0}, np.tile(EVERY, 2)),
        ("tile", {"x": EVERY}, {"reps": np.array([2], np.int32)}, np.tile(EVERY, 2)),
        ("expand_dims", {"x": EVERY}, {"axes": np.array([0], np.int32)}, EVERY[None]),
        (
            "slice_by_index",
            {"x": EVERY},
            {"begin": np.array([3]), "end": np.array([60000]), "stride": np.array([7])},
            EVERY[3:60000:7],
        ),
        (
            "gather",
            {"x": EVERY, "indices": np.arange(65535, -1, -1, dtype=np.int32)},
            {"axis": 0},
            EVERY[::-1],
        ),
        (
            "select",
            {"cond": np.arange(65536) % 2 == 0, "a": EVERY, "b": EVERY[::-1]},
            {},
            np.where(np.arange(65536) % 2 == 0, EVERY, EVERY[::-1]),
        ),
        (
            "pad",
            {"x": EVERY},
            {"pad": np.array([1, 2], np.int32), "mode": "constant", "constant_val": h(6e-8)},
            np.pad(EVERY, (1, 2), constant_values=h(6e-8)),
        ),
        ("pixel_shuffle", {"x": EVERY.reshape(1, 4, 128, 128)}, {"upscale_factor": 2}, None),
    ],
)
def test_what_moves_stays_as_it_is(
    op_type: str, inputs: dict[str, Any], params: dict[str, Any], truth: Any
) -> None:
    if truth is None:
        image = torch.from_numpy(inputs["x"])
        truth = torch.nn.functional.pixel_shuffle(image, 2).numpy()
    params = {k: v.astype(np.int32) if np.ndim(v) else v for k, v in params.items()}
    _check(_faithful(op_type, inputs, **params), np.ascontiguousarray(truth))


ROWS = np.array(
    [
        [1, np.nan, 2],
        [3, 1, 2],
        [np.inf, 5, 1],
        [65504, 65504, -65504],
        [65504, 16, 0],
        [6e-8, 6e-8, -0.0],
        [2048, 1, 2],
    ],
    np.float16,
)


@pytest.mark.parametrize(
    ("op_type", "function"),
    [
        ("reduce_sum", np.sum),
        ("reduce_mean", np.mean),
        ("reduce_max", np.max),
        ("reduce_min", np.min),
        ("reduce_prod", np.prod),
        ("reduce_l1_norm", lambda x, axis: np.sum(np.abs(x), axis)),
        ("reduce_l2_norm", lambda x, axis: np.sqrt(np.sum(x * x, axis))),
        ("reduce_sum_square", lambda x, axis: np.sum(x * x, axis)),
    ],
)
def test_reductions(op_type: str, function: Any) -> None:
    truth = _rounded(function(ROWS.astype(np.float64), axis=1))
    found = _faithful(op_type, {"x": ROWS}, axes=np.array([1], np.int32), keep_dims=False)
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("op_type", ["matmul", "linear", "conv"])
def test_products(op_type: str) -> None:
    """Whole multiples of 2^-10 up to 2: f32 sums 64 products of them exactly in any order."""
    x = (rng(3).integers(-2048, 2049, (16, 64)) / 1024).astype(np.float16)
    w = (rng(4).integers(-64, 65, (32, 64)) / 32).astype(np.float16)
    x[0] = 65504  # sums overflow
    x[1, 0], x[2, 0], x[3] = np.nan, np.inf, h(6e-8)
    truth = _rounded(x.astype(np.float64) @ w.T.astype(np.float64))
    if op_type == "matmul":
        found = _faithful("matmul", {"x": x, "y": w.T.copy()})
    elif op_type == "linear":
        found = _faithful("linear", {"x": x}, weight=w)
    else:
        found = _faithful("conv", {"x": x[:, :, None]}, weight=w[:, :, None])[:, :, 0]
    np.testing.assert_array_equal(found, truth)


def test_fp32_programs_are_the_same_in_both_modes() -> None:
    x = np.concatenate([rng(5).standard_normal(1000), [np.inf, -np.inf, 0, 70000, 1e-30]])
    for op_type in ("exp", "erf", "softplus", "gelu", "relu", "sqrt", "tanh"):
        case = Case(op_type, {"x": x.astype(np.float32)})
        modes = [run(case, numerics=mode)[0][0] for mode in ("fast", "faithful")]
        np.testing.assert_array_equal(modes[0].view(np.uint32), modes[1].view(np.uint32))
