"""Integers beyond int32, and constants inside and outside of a delegate: results are eager's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
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


# 20000001 and 33554433 are beyond what fp32 holds exactly, 70001 beyond 16 bits, 4097 beyond fp16.
A = torch.tensor(
    [[-20_000_001, -70_001, -4_097, -3, 0, 2], [5, 4_099, 70_003, 33_554_433, 20_000_003, -1]]
)
B = torch.tensor([[3, -7, 4_099, -70_001, 5, 1], [20_000_001, -3, 2, 7, -33_554_435, -1]])
PLACES = torch.tensor([[1, 2, 3, 0, 1, 4], [0, 3, 2, 1, 2, 5]])

EXACT: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "sort": lambda a, b: a.sort(1),
    "topk": lambda a, b: a.topk(3, 1),
    "kthvalue": lambda a, b: a.kthvalue(2, 1),
    "median": lambda a, b: a.median(1),
    "gather": lambda a, b: a.gather(1, PLACES) + b,
    "index": lambda a, b: a[:, PLACES[0]] + b,
    "index_select": lambda a, b: a.index_select(1, PLACES[1]) + b,
    "roll": lambda a, b: a.roll(1, 1) + b,
    "scatter": lambda a, b: a.scatter(1, PLACES, b),
    "scatter_add": lambda a, b: torch.zeros_like(a).scatter_add(1, PLACES, b),
    "index_put": lambda a, b: a.index_put((torch.tensor([0, 1]), torch.tensor([2, 3])), b[1, :2]),
    "full": lambda a, b: torch.full((2, 6), 20_000_001) + a,
    "full_like": lambda a, b: torch.full_like(a, 20_000_001) - b,
    "ones_like": lambda a, b: a + torch.ones_like(b),
    "pad": lambda a, b: F.pad(a, (1, 2), value=20_000_001) * 1,
    "pad in two dimensions": lambda a, b: F.pad(a, (0, 1, 2, 0)) + 1,
    "reflect": lambda a, b: F.pad(a, (1, 2), mode="reflect") + 1,
    "relu": lambda a, b: F.relu(a) + b,
    "clamp": lambda a, b: a.clamp(-5_000, 20_000_002) + b,
    "where": lambda a, b: torch.where(a > 0, a, 20_000_001) + b,
    "remainder": lambda a, b: torch.remainder(a, b),
    "fmod": lambda a, b: torch.fmod(a, b),
    "cumsum": lambda a, b: a.cumsum(1) + b,
    "cummax": lambda a, b: a.cummax(1),
    "sum": lambda a, b: a.sum(1) + b.sum(1),
    "extremes": lambda a, b: (a.amax(1), b.amin(0), a.argmax(1)),
    "compare": lambda a, b: (a < 20_000_002, a >= 20_000_003, a == b, torch.isin(a, b)),
    "bits": lambda a, b: (a & b, a | b, a ^ b, ~a),
    "square": lambda a, b: (a % 5_000).square() + b,
    "matmul": lambda a, b: (a % 3_000) @ (b % 3_000).T,
    "arange": lambda a, b: torch.arange(20_000_001, 20_000_007) + a,
    "one_hot": lambda a, b: F.one_hot(PLACES, 6) * a.unsqueeze(-1),
    "reshape and join": lambda a, b: torch.cat([a, b], 1).reshape(3, 8).flip(1) + 1,
}


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("name", EXACT)
def test_integers_stay_as_they_are(name: str, precision: str) -> None:
    """Nothing goes through fp16, fp32 or 16 bits on the way."""
    function = EXACT[name]
    options = specs(precision, minimum_deployment_target=coremltools().target.iOS18)
    partitioner = CoreMLPartitioner(compile_specs=options)
    program = lower(Call(function), (A, B), partitioner=partitioner)
    method = Runtime.get().load_program(program).load_method("forward")
    expected = function(A, B)
    expected = list(expected) if isinstance(expected, tuple) else [expected]
    found = [each.clone() for each in method.execute([A, B])]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert any(each.delegated for each in partitioner.report)
