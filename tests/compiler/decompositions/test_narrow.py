"""Integers of fewer than 32 bits through lowering and the engine; the oracle is eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.mil.ct import coremltools
from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, lower, specs

BYTES = torch.arange(256, dtype=torch.uint8).reshape(16, 16)
SHORTS = torch.tensor([[-32768, -32767, -256, -1, 0, 1], [7, 127, 255, 256, 32766, 32767]]).short()


def executed(function: Callable[..., Any], *inputs: Tensor, target: str = "iOS18") -> list[Tensor]:
    """Lower a function as a whole and run it."""
    chosen = getattr(coremltools().target, target)
    partitioner = CoreMLPartitioner(compile_specs=specs(minimum_deployment_target=chosen))
    program = lower(Call(function), inputs, partitioner=partitioner)
    left_out = {each.op: each.reason for each in partitioner.report.left_out}
    assert not left_out
    found = Runtime.get().load_program(program).load_method("forward").execute(list(inputs))
    return [each.clone() for each in found]


def check(function: Callable[..., Any], *inputs: Tensor, target: str = "iOS18") -> None:
    found = executed(function, *inputs, target=target)
    for got, truth in zip(found, function(*inputs), strict=True):
        assert got.dtype == truth.dtype
        torch.testing.assert_close(got, truth)


def image(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """What programs do with pictures: numbers, then bytes again; and arithmetic that wraps."""
    bright = (torch.relu(x.permute(1, 0).float() / 255 - 0.25) * 255).clamp(0, 255)
    return bright.to(torch.uint8), x + y, x - y, x * y, x * 3, x > y, x + 0.5, x / 2, x.sum(1)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
def test_bytes(target: str) -> None:
    check(image, BYTES, BYTES.flip(0), target=target)


def test_shorts() -> None:
    check(lambda x: (x + x, x * x, x - 1, (x * 2).float(), x.to(torch.uint8)), SHORTS)


def test_casts_keep_the_lower_bits() -> None:
    wide = torch.tensor([[0, 1, 127, 128, 255, 256], [-1, -128, -129, 65537, 2**31 - 1, -(2**31)]])

    def casts(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        narrow = (x.to(torch.int8), x.to(torch.uint8), x.to(torch.int16), y.to(torch.int8))
        return tuple(each.to(torch.int32) * 2 for each in narrow)

    check(casts, wide, wide.float().clamp(-1e4, 1e4))


def test_views_and_choices() -> None:
    def arranged(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        larger = torch.where(x > y, x, y)
        return larger.flip(0), torch.cat((x, y))[3:], torch.maximum(x, y).reshape(-1) + 1.5

    check(arranged, BYTES, BYTES.flip(1))


@pytest.mark.parametrize("beyond", [300, -1, 2**20 + 3])
def test_comparisons_wrap_what_is_beyond(beyond: int) -> None:
    """PyTorch compares bytes in bytes: 300 is 44 there."""

    def compared(x: Tensor) -> tuple[Tensor, ...]:
        return x > beyond, x >= beyond, x < beyond, x <= beyond, x == beyond, x != beyond

    check(compared, BYTES)


@pytest.mark.parametrize("beyond", [300, -1, 7])
def test_comparisons_wrap_tensors_without_dimensions(beyond: int) -> None:
    check(lambda x, y: (x > y, x == y, y <= x), BYTES, torch.tensor(beyond))


def test_comparisons_with_numbers_do_not_wrap() -> None:
    check(lambda x: (x > 300.5, x < -0.5), BYTES)


@pytest.mark.parametrize("x", [BYTES, SHORTS], ids=["bytes", "shorts"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.float32])
def test_sums_of_a_given_dtype(x: Tensor, dtype: torch.dtype) -> None:
    def sums(x: Tensor) -> tuple[Tensor, ...]:
        return x.sum(1, dtype=dtype) / 2, x.sum(dtype=dtype).float(), x.sum(0, True, dtype=dtype)

    check(sums, x)


def test_sums_of_numbers_into_bytes() -> None:
    check(lambda x: (x.sum(1, dtype=torch.uint8) / 2, x.int().sum(dtype=torch.uint8)), BYTES * 1.5)


def test_means_of_a_given_dtype() -> None:
    check(lambda x: (x.mean(1, dtype=torch.float32), x.mean(dtype=torch.float32)), BYTES)


@pytest.mark.parametrize("alpha", [2, -3, 200])
def test_scaled_operands(alpha: int) -> None:
    def scaled(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        sums = torch.add(x, y, alpha=alpha), torch.add(x, 3, alpha=alpha)
        return *sums, torch.sub(x, y, alpha=alpha), torch.rsub(x, y, alpha=alpha)

    check(scaled, BYTES, BYTES.flip(0))
    check(scaled, SHORTS, SHORTS.flip(0))


def test_scaled_operands_of_numbers() -> None:
    check(lambda x, y: (torch.add(y, x, alpha=0.5), y.int().add(x, alpha=3)), BYTES, BYTES * 1.5)


@pytest.mark.parametrize("number", [300, 70000, -(2**31)])
@pytest.mark.parametrize("x", [BYTES, SHORTS], ids=["bytes", "shorts"])
def test_arithmetic_with_what_is_beyond(x: Tensor, number: int) -> None:
    check(lambda x: (x + number, x - number, number - x, x * number), x)


@pytest.mark.parametrize("number", [300, -1, 70000, 2**31 - 1])
def test_arithmetic_with_tensors_without_dimensions(number: int) -> None:
    check(lambda x, y: (x + y, x - y, y - x, x * y), SHORTS, torch.tensor(number))


def divisors(dtype: torch.dtype) -> Tensor:
    signs = -1 if dtype.is_signed else 1
    return (torch.tensor([1, 3, 7, 100, 127]) * torch.tensor([signs, 1, signs, 1, 1])).to(dtype)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16], ids=str)
def test_division_with_rounding(dtype: torch.dtype, target: str) -> None:
    info = torch.iinfo(dtype)
    x = torch.tensor([info.min, info.max, 5, 0, info.max - 1], dtype=dtype)

    def divided(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        quotients = (
            torch.div(x, each, rounding_mode=mode) for mode in ("floor", "trunc") for each in (y, 3)
        )
        rest = (x % y, x % 5, 100 % y)
        return *quotients, *rest, x // y, x // 3, torch.div(x, 2.5, rounding_mode="floor")

    check(divided, x, divisors(dtype), target=target)


def test_division_that_wraps() -> None:
    """-128 by -1 is -128 in int8."""
    x, y = torch.tensor([-128, -128, 127, -7]), torch.tensor([-1, 3, -2, 2])

    def divided(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        a, b = x.to(torch.int8), y.to(torch.int8)
        return tuple(torch.div(a, b, rounding_mode=mode).int() for mode in ("floor", "trunc"))

    check(divided, x, y)


@pytest.mark.parametrize("x", [BYTES, SHORTS], ids=["bytes", "shorts"])
def test_sums_so_far(x: Tensor) -> None:
    kinds = (None, x.dtype, torch.uint8, torch.int16, torch.float32)
    check(lambda x: tuple(x.cumsum(1, dtype=each) for each in kinds), x)


def test_sums_so_far_into_bytes() -> None:
    check(lambda x: (x.cumsum(0, dtype=torch.uint8), x.cumsum(1, dtype=torch.int16)), BYTES.int())


def test_powers() -> None:
    check(lambda x: (x**2, x**5, x**0, x**0.5), BYTES)
    check(lambda x: (x**2, x**3), SHORTS)


def test_bytes_filled_with_a_number() -> None:
    def filled(x: Tensor) -> tuple[Tensor, ...]:
        sevens, many = (torch.full((16,), each, dtype=torch.uint8) for each in (7, 250))
        return torch.where(x > 9, x, sevens), x + many

    check(filled, BYTES)
