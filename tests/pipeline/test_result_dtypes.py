"""An op that says which dtype its result has gives that, whatever it is made of. Oracle: eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.mil.ct import coremltools
from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, lower, specs

GIVEN = torch.tensor([[0.0, 1.0, -2.0, 3.0], [1.0, 0.0, 0.0, 5.0]])
SOURCES = (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32)
INFINITE = float("-inf")

FUNCTIONS: dict[str, Callable[[Tensor, torch.dtype], Any]] = {
    "zeros_like": lambda x, to: torch.zeros_like(x, dtype=to).masked_fill(x != 0, 2.5),
    "ones_like": lambda x, to: torch.ones_like(x, dtype=to) * 2.5,
    "full_like": lambda x, to: torch.full_like(x, 3, dtype=to) / 2,
    "full_like of a fraction": lambda x, _: torch.full_like(x, 2.5, dtype=torch.float32),
    "new_zeros": lambda x, to: x.new_zeros((2, 4), dtype=to).masked_fill(x != 0, 2.5),
    "new_full": lambda x, to: x.new_full((2, 4), 3, dtype=to) * 0.5,
    "new_ones": lambda x, to: x.new_ones((2, 4), dtype=to) + (x != 0),
    "zeros": lambda x, to: torch.zeros(2, 4, dtype=to).masked_fill(x != 0, 2.5),
    "full": lambda x, to: torch.full((2, 4), 3, dtype=to) * 0.5 + x,
    "arange": lambda x, to: torch.arange(0, 8, 2, dtype=to) * 0.5 + x,
    "scalar_tensor": lambda x, to: torch.scalar_tensor(3, dtype=to) * 0.5 + x,
    "to": lambda x, to: x.to(to) * 0.5,
    "sum": lambda x, to: x.sum(1, dtype=to) * 0.5,
    "sum of all": lambda x, to: x.sum(dtype=to) * 0.5,
    "mean": lambda x, _: x.mean(1, dtype=torch.float32),
    "prod": lambda x, to: x.prod(1, dtype=to) * 0.5,
    "cumsum": lambda x, to: x.cumsum(1, dtype=to) * 0.5,
    "cumprod": lambda x, to: x.cumprod(1, dtype=to) * 0.5,
    "softmax": lambda x, _: x.softmax(1, dtype=torch.float32),
    "log_softmax": lambda x, _: x.log_softmax(1, dtype=torch.float32),
    "norm": lambda x, _: x.float().norm(dim=1) + x[:, 0],
    "where": lambda x, to: torch.where(x != 0, torch.zeros_like(x, dtype=to), 2.5),
    "not": lambda x, to: (~torch.zeros(2, 4, dtype=torch.bool)).to(to) * x,
    "not and": lambda x, _: ~torch.ones(x.shape, dtype=torch.bool) | (x != 0),
    "masked_fill": lambda x, _: torch.zeros_like(x, dtype=torch.float32).masked_fill(
        x != 0, INFINITE
    ),
    "argmax": lambda x, to: x.float().argmax(1).to(to) * 0.5,
    "comparison": lambda x, to: (x > 0).to(to) * 0.5,
    "logical": lambda x, to: torch.logical_and(x, x != 1).to(to) * 0.5,
    "division": lambda x, to: x.to(to) / 2,
    "stack": lambda x, to: torch.stack([x.to(to), torch.ones_like(x, dtype=to)]) * 0.5,
    "cat": lambda x, _: torch.cat([x, torch.zeros_like(x, dtype=torch.float32) + 0.5]),
}


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results(name: str, target: str) -> None:
    """Of five dtypes each, as two others."""
    inputs = tuple(GIVEN.to(source) for source in SOURCES)

    def results(*given: Tensor) -> list[Tensor]:
        made = []
        for x in given:
            for to in (torch.float32, torch.int32):
                made.append(FUNCTIONS[name](x, to))
        return made

    options = specs(minimum_deployment_target=coremltools().target[target])
    partitioner = CoreMLPartitioner(compile_specs=options)
    program = lower(Call(results), inputs, partitioner=partitioner)
    method = Runtime.get().load_program(program).load_method("forward")
    found = [each.clone() for each in method.execute(list(inputs))]
    torch.testing.assert_close(found, results(*inputs), rtol=1e-6, atol=1e-6)
    assert not [each for each in partitioner.report.left_out if "not convert" in each.reason]
