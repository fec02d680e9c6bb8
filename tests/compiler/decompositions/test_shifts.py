"""Shifts of bits through lowering and the engine; the oracle is eager PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.call import Call
from tests.compiler.decompositions.test_narrow import check
from tests.lowering import Runtime, lower

DTYPES = (torch.int32, torch.uint8, torch.int16)


def values(dtype: torch.dtype) -> Tensor:
    info = torch.iinfo(dtype)
    edges = (info.min, info.max, info.min + 1, info.max - 1, info.max // 3)
    return torch.tensor([0, 1, *edges, 5, 77, 100], dtype=dtype)


def counts(dtype: torch.dtype) -> Tensor:
    """Each sign, none, all bits but one, all and more."""
    bits = torch.iinfo(dtype).bits
    least = -1 if dtype.is_signed else 0
    return torch.tensor([1, least, bits - 1, 0, 1, bits, bits - 2, 3, 2, 120], dtype=dtype)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_shifts(dtype: torch.dtype, target: str) -> None:
    bits = torch.iinfo(dtype).bits

    def left(x: Tensor, n: Tensor) -> tuple[Tensor, ...]:
        fixed = (x << each for each in (0, 3, bits - 1, bits, -1))
        return x << n, 1 << n, x.bitwise_left_shift(n), x.bitwise_left_shift(2), *fixed

    def right(x: Tensor, n: Tensor) -> tuple[Tensor, ...]:
        fixed = (x >> each for each in (0, 1, bits - 1, bits, -1))
        return x >> n, 100 >> n, x.bitwise_right_shift(n), *fixed

    check(left, values(dtype), counts(dtype), target=target)
    check(right, values(dtype), counts(dtype).roll(1), target=target)


def test_shifts_of_int64_within_int32() -> None:
    x, n = torch.tensor([-9, 0, 100, 7, -1]), torch.tensor([2, 40, 64, 27, -3])
    check(lambda x, n: (x << (n % 16), x >> n, x >> 31, x >> 40, x << 3), x, n)


def test_shifts_of_mixed_dtypes_and_without_dimensions() -> None:
    x, n = values(torch.int32), torch.tensor(3, dtype=torch.uint8)
    check(lambda x, n: (x << n, n << x.clamp(0, 5), n << 1, x[3] >> n), x, n)


def test_shifts_of_int8() -> None:
    def shifted(x: Tensor, n: Tensor) -> tuple[Tensor, ...]:
        a, b = x.to(torch.int8), n.to(torch.int8)
        return tuple(each.int() for each in (a << b, a >> b, a << 1, a >> 7))

    check(shifted, values(torch.int16) % 128 - 64, counts(torch.int16) % 9)


def test_shifts_of_a_size_that_varies() -> None:
    rows = torch.export.Dim("rows", min=2, max=16)
    x, n = values(torch.int32), counts(torch.int32)
    program = lower(
        Call(lambda x, n: (x << n, x >> n)), (x, n), dynamic_shapes=(({0: rows}, {0: rows}),)
    )
    method = Runtime.get().load_program(program).load_method("forward")
    for size in (3, 10):
        left, right = method.execute([x[:size], n[:size]])
        assert torch.equal(left, x[:size] << n[:size])
        assert torch.equal(right, x[:size] >> n[:size])
