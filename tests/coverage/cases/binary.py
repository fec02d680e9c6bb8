"""Elementwise ops of two and three tensors."""

from __future__ import annotations

import torch

from tests.coverage.case import bools, case, edges, floats, ints, outside

_X, _Y = edges(), edges().flip(1).roll(5, 0)
_FLOAT = (
    *("sub", "div", "minimum", "atan2", "remainder", "eq", "lt", "gt", "fmax", "hypot"),
    *("logaddexp", "add", "mul", "maximum", "pow", "fmod", "floor_divide", "ne", "le", "ge"),
    *("fmin", "copysign", "xlogy"),
)
_INTEGER = (
    *("sub", "div", "minimum", "fmod", "floor_divide", "lt", "add", "mul", "maximum", "remainder"),
    "eq",
)
_BOOL = ("logical_and", "logical_xor", "bitwise_or", "eq", "logical_or", "bitwise_and")
_I, _J = (
    ints(4, 6, low=-20, high=21),
    ints(4, 6, low=1, high=7, seed=1) * (1 - 2 * ints(4, 6, low=0, high=2, seed=2)),
)

_BITS = "Core ML has the op for bool tensors only"

CASES = (
    *(case(name, getattr(torch, name), _X, _Y) for name in _FLOAT),
    *(case(f"{name}_i64", getattr(torch, name), _I, _J) for name in _INTEGER),
    *(
        outside(f"bitwise_{name}_i64", getattr(torch, f"bitwise_{name}"), _I, _J, why=_BITS)
        for name in ("or", "and", "xor")
    ),
    outside("nextafter", torch.nextafter, _X, _Y, why="Core ML has no op for it", runs=False),
    case("pow_i64", torch.pow, ints(2, 3), ints(2, 3, low=0, high=5, seed=1)),
    *(
        case(name, getattr(torch, name), ints(2, 6, low=-40, high=41), ints(2, 6, low=0, high=5))
        for name in ("bitwise_left_shift", "bitwise_right_shift")
    ),
    *(
        case(f"{name}_bool", getattr(torch, name), bools(2, 3), bools(2, 3, seed=1))
        for name in (*_BOOL, "bitwise_xor", "ne")
    ),
    case("div_floor", lambda x, y: torch.div(x, y, rounding_mode="floor"), _X, _Y),
    case("div_trunc", lambda x, y: torch.div(x, y, rounding_mode="trunc"), _X, _Y),
    case("div_trunc_i64", lambda x, y: torch.div(x, y, rounding_mode="trunc"), _I, _J),
    case("div_scalar_mode_floor_i64", lambda x: torch.div(x, 3, rounding_mode="floor"), _I),
    case("add_alpha", lambda x, y: torch.add(x, y, alpha=2.5), floats(2, 3), floats(2, 3, seed=1)),
    case("sub_alpha", lambda x, y: torch.sub(x, y, alpha=2.5), floats(2, 3), floats(2, 3, seed=1)),
    case("rsub", lambda x: torch.rsub(x, 1.5, alpha=2), floats(2, 3)),
    case("where", torch.where, bools(2, 12), _X, _Y),
    case("where_scalar", lambda x: torch.where(x > 0, x, 0.5), _X),
    case("where_i64", torch.where, bools(2, 3), ints(2, 3), ints(2, 3, seed=1)),
    case("masked_fill", lambda x, m: x.masked_fill(m, -1.5), _X, bools(2, 12)),
    case("masked_fill_inf", lambda x, m: x.masked_fill(m, float("-inf")), _X, bools(2, 12)),
    case(
        "masked_fill_fmin",
        lambda x, m: x.masked_fill(m, torch.finfo(torch.float32).min),
        floats(2, 12),
        bools(2, 12),
    ),
    case("lerp", lambda x, y: torch.lerp(x, y, 0.3), floats(2, 3), floats(2, 3, seed=1)),
    case("addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), *map(floats, (3,) * 3)),
    case("addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), *map(floats, (3,) * 3)),
)
