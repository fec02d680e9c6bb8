"""Integers beyond int32, and constants inside and outside of a delegate: results are eager's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.mil.ct import coremltools
from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, lower, specs

NUMBERS = torch.arange(-8, 8).reshape(4, 4)
LARGE = torch.arange(4) * 2**40 + 5
SMALL = torch.arange(4, dtype=torch.uint8) * 7
"""Read in a delegate twice, and outside, where comparisons with constants of its dtype stay."""

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], Tensor]] = {
    "a filled tensor": (lambda x: torch.full_like(x, 2**40) + x, NUMBERS),
    "a constant": (lambda x: (x + LARGE, (x + LARGE) * 2, (x + LARGE).float() * 2.5), NUMBERS),
    "a limit": (lambda x: x.clamp(-(2**40), 2**40) * 3, NUMBERS),
    "bytes and a number": (lambda x: (x + (2**31 + 5), x * (2**40 + 3)), SMALL),
    "a constant on both sides": (lambda x: (x * SMALL, x + SMALL, x > SMALL), NUMBERS * 1.5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results(name: str) -> None:
    function, x = FUNCTIONS[name]
    options = specs(minimum_deployment_target=coremltools().target.iOS18)
    program = lower(Call(function), (x,), partitioner=CoreMLPartitioner(compile_specs=options))
    method = Runtime.get().load_program(program).load_method("forward")
    expected = function(x)
    expected = list(expected) if isinstance(expected, tuple) else [expected]
    torch.testing.assert_close([each.clone() for each in method.execute([x])], expected)


DIVIDENDS = torch.tensor([-50000, -7, -6, -1, 0, 1, 6, 7, 65520, 20_000_001, -20_000_001])


@pytest.mark.parametrize("divisor", [7, -7, torch.tensor(-3), DIVIDENDS.flip(0).abs() + 1], ids=str)
@pytest.mark.parametrize("mode", ["floor", "trunc"])
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_integers_divide_as_integers(mode: str, divisor: Any, precision: str) -> None:
    """In fp16, from 2048 on, and in fp32, from 2 ** 24 on, not every integer is there."""

    def function(x: Tensor) -> Any:
        return torch.div(x, divisor, rounding_mode=mode) + x, (x // divisor) * 2

    program = lower(Call(function), (DIVIDENDS,), precision=precision)
    method = Runtime.get().load_program(program).load_method("forward")
    found = [each.clone() for each in method.execute([DIVIDENDS])]
    torch.testing.assert_close(found, list(function(DIVIDENDS)), rtol=0, atol=0)
