"""Elementwise ops of one tensor."""

from __future__ import annotations

import torch

from tests.coverage.case import bools, case, edges, finite, floats, ints

_FLOAT = (
    *("abs", "asinh", "atanh", "cos", "erf", "exp", "expm1", "frac", "log10", "log2"),
    *("reciprocal", "rsqrt", "sign", "sinh", "square", "tanh", "isnan", "isfinite", "sgn"),
    *("signbit", "logit", "sinc", "nan_to_num", "acos", "asin", "atan", "ceil", "cosh", "erfc"),
    *("exp2", "floor", "log", "log1p", "neg", "round", "sigmoid", "sin", "sqrt", "tan", "trunc"),
    *("isinf", "logical_not", "positive", "deg2rad", "lgamma", "digamma", "erfinv", "i0"),
)
# Beyond this the float result is infinite or the argument reduction of any implementation differs.
_BOUNDED = {"i0": 80.0, "digamma": 1e3, "lgamma": 1e3, "sin": 40.0, "cos": 40.0, "tan": 40.0}
_NOT_NAN = ("sign", "sgn")
_INTEGER = ("neg", "exp", "log", "reciprocal", "log2", "floor", "abs", "sign", "sqrt")
_BOOL = ("logical_not", "bitwise_not")


def _input(name: str) -> torch.Tensor:
    bound = _BOUNDED.get(name)
    return edges() if bound is None else edges().clamp(-bound, bound)


CASES = (
    *(case(name, getattr(torch, name), _input(name), nan=name not in _NOT_NAN) for name in _FLOAT),
    case("acosh", torch.acosh, edges(), expect="outside", why="coremltools does not implement it"),
    *(case(f"{name}_i64", getattr(torch, name), ints(2, 3)) for name in _INTEGER),
    *(case(f"{name}_i64", getattr(torch, name), ints(2, 3)) for name in ("sigmoid", "rsqrt")),
    case("bitwise_not_i64", torch.bitwise_not, ints(2, 3)),
    *(case(f"{name}_bool", getattr(torch, name), bools(2, 3)) for name in _BOOL),
    case("clamp_min", lambda x: torch.clamp(x, min=0.5), edges()),
    case("clamp", lambda x: torch.clamp(x, -1.0, 1.0), edges()),
    case("clamp_i64", lambda x: torch.clamp(x, -2, 3), ints(2, 3)),
    case("clamp_tensor", torch.clamp, floats(2, 3), floats(3, seed=1) - 1, floats(3, seed=2) + 1),
    case("pow_scalar", lambda x: torch.pow(x, 2.5), edges()),
    case("pow_2", lambda x: x**2, edges()),
    case("pow_base2", lambda x: torch.pow(2.0, x), finite()),
    case("add_scalar", lambda x: x + 1.5, edges()),
    case("mul_scalar_int", lambda x: x * 3, ints(2, 3)),
    case("int_plus_float", lambda x: x + 1.5, ints(2, 3)),
    case("int_mul_float_scalar", lambda x: x * 0.5, ints(2, 3)),
    case("div_int_true", lambda x: x / 4, ints(2, 3)),
    case("bool_mul", lambda x, y: x * y, bools(2, 3), floats(2, 3)),
    case("bool_sum", lambda x: x.sum(), bools(4, 5)),
)
