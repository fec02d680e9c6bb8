"""What enters and leaves: dtypes, ranks, constants, aliases; state and control flow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.coverage.case import ISLAND_WHY, bools, case, edges, floats, ints, outside

_X = floats(2, 3)
_IMAGE = floats(1, 3, 4, 5)


class _Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", floats(2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, self.value * 2


class _Counter(nn.Module):
    """Adds what comes in to what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x)
        return self.total * 2


class _Cache(nn.Module):
    """Writes rows of a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(4, 3))

    def forward(self, x: Tensor, at: Tensor) -> Tensor:
        self.rows.index_copy_(0, at, x)
        return self.rows * 2


def _asserts(x: Tensor) -> Tensor:
    torch._assert(x.shape[0] == 2, "two rows")
    torch._check(x.dim() == 2)
    return x + 1


def _cond(x: Tensor) -> Any:
    return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y * 2, (x,))


def _map(x: Tensor) -> Any:
    return torch._higher_order_ops.map(lambda row: row.sin() + 1, x)


_DTYPES = "Core ML takes bool, float16, float32 and int32 tensors"
_INT8 = "ExecuTorch's delegate neither takes nor gives int8"
_CONTROL = "control flow runs outside of delegates"

CASES = (
    case("bool_to_float", lambda x: x.float() + 0.5, bools(2, 3)),
    case("float_to_bool", lambda x: x.bool(), edges(), expect="outside", why=ISLAND_WHY),
    case("float_to_int64", lambda x: x.long(), _X * 10, expect="outside", why=ISLAND_WHY),
    case("int_to_float", lambda x: x.float() / 2, ints(2, 3)),
    case("to_f16", lambda x: (x.half() * 2).float(), _X, tolerance=1e-3),
    case("to_f64", lambda x: (x.double() * 2).float(), _X),
    case("to_i8", lambda x: (x * 20).to(torch.int8).to(torch.int32) + 1, _X),
    case("to_u8", lambda x: (x.abs() * 20).to(torch.uint8), _X),
    case("to_i16", lambda x: (x * 20).to(torch.int16), _X),
    # Computed in float32 where eager rounds to the 8 bits of bfloat16.
    case("to_bf16", lambda x: (x.bfloat16() * 2).float(), _X, tolerance=2.0**-8),
    case("f16_in", lambda x: x * 2, _X.half()),
    case("f64_in", lambda x: x * 2, _X.double()),
    case("bf16_in", lambda x: x * 2, _X.bfloat16(), expect="partly", why=_DTYPES),
    case("i8_in", lambda x: x.float() * 2, ints(2, 3).to(torch.int8), expect="partly", why=_INT8),
    case("u8_in", lambda x: x.float() / 255, ints(2, 3, low=0, high=256).to(torch.uint8)),
    case("i16_in", lambda x: x.float() * 2, ints(2, 3).to(torch.int16)),
    case("i32_in", lambda x: x * 2, ints(2, 3).to(torch.int32)),
    case("int_out", lambda x: (x * 2, x + 1), ints(2, 3)),
    case("bool_out", lambda x: x > 0, edges()),
    case("scalar_tensor_in", lambda x, s: x * s, _X, torch.tensor(2.5)),
    case("scalar_tensor_out", lambda x: x.sum() * 2, _X),
    case("scalar_only", lambda x: x * 2 + 1, torch.tensor(2.5)),
    case("identity", lambda x: x, _X),
    case("const_only", _Constant(), _X),
    case("dup_out", lambda x: (y := x * 2, y, y + 1), _X),
    case("in_as_out", lambda x: (x, x + 1), _X),
    case("channels_last", lambda x: x.to(memory_format=torch.channels_last) * 2, _IMAGE),
    case("item_shape", lambda x: x.reshape(x.shape[0] * x.shape[1]) * x.shape[1], _X),
    case("cond", _cond, _X, expect="partly", why=_CONTROL),
    outside("while_map", _map, _X, why=_CONTROL),
    case("empty_tensor", lambda x: torch.cat((x[:, :0], x + 1), 1), _X),
    outside(
        "int_overflow_const",
        lambda x: x + 2**40,
        ints(2, 3),
        why="Core ML computes int64 as int32, which does not hold the constant",
    ),
    case("int32max_mask", lambda x: x.masked_fill(x > 0, 2**31 - 1), ints(2, 3)),
    case("float_big_const", lambda x: torch.minimum(x, torch.tensor(1e30)), _X),
    case("float_tiny_eps", lambda x: x / (x.abs() + 1e-12), _X),
    case("assert_op", _asserts, _X),
    case("mut_buffer_index_copy", _Cache(), _X, torch.tensor([3, 1]), calls=3),
    case("mut_buffer_add", _Counter(), _X, calls=3),
)
