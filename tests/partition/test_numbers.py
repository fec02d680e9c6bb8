"""Numbers next to tensors: the dtype of a result is eager's. The oracle is eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.partition.numbers import give_dtypes
from tests.call import Call
from tests.lowering import Runtime, lower

ROW = torch.tensor([3, -4, 5])


def sums(x: Tensor) -> tuple[Tensor, ...]:
    return x + 1, x * 3, 7 - x, x + 1.5, x > 2, x % 3


def quotients(x: Tensor) -> tuple[Tensor, ...]:
    return x // 3, x // -2, 7 // x, x // 2.5, 7.5 // x, torch.div(x, 3, rounding_mode="trunc")


@pytest.mark.parametrize("function", [sums, quotients])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float16, torch.int16], ids=str)
@pytest.mark.parametrize("x", [ROW, ROW[0]], ids=["a row", "no dimension"])
def test_dtypes(function: Callable[[Tensor], Any], dtype: torch.dtype, x: Tensor) -> None:
    given = x.to(dtype)
    program = lower(Call(function), (given,))
    found = Runtime.get().load_program(program).load_method("forward").execute([given])
    for got, truth in zip(found, function(given), strict=True):
        assert got.dtype == truth.dtype
        torch.testing.assert_close(got, truth)


@pytest.mark.parametrize("join", [torch.cat, torch.stack])
def test_joined_dtypes(join: Callable[[list[Tensor]], Tensor]) -> None:
    def joined(x: Tensor) -> Tensor:
        return join([x, x.to(torch.int64), x > 1, x.half()])

    x = ROW.to(torch.int32)
    found = Runtime.get().load_program(lower(Call(joined), (x,))).load_method("forward")
    torch.testing.assert_close(found.execute([x])[0], joined(x))


def test_what_executorch_promotes_stays() -> None:
    program = torch.export.export(Call(lambda x: (x + 1, x * 2.5)), (ROW.to(torch.int32),))
    assert not give_dtypes(program)
