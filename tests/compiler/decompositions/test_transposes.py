"""Transposes of many axes, in steps and through the engine; the oracle is eager PyTorch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.compiler.decompositions import MAX_RANK
from etcoreml.compiler.decompositions.transposes import _steps
from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, lower, specs


def test_steps_make_up_every_transpose() -> None:
    sizes = (2, 3, 2, 2, 3, 2)
    x = torch.arange(math.prod(sizes)).reshape(sizes)
    for order in itertools.permutations(range(len(sizes))):
        value = x
        if list(order) == sorted(order):
            continue
        for step in _steps(list(order)):
            assert len(step.blocks) <= MAX_RANK
            merged = [math.prod(sizes[axis] for axis in block) for block in step.blocks]
            value = value.reshape(merged).permute(step.order).contiguous()
        assert torch.equal(value.reshape(-1), x.permute(order).reshape(-1))


def units(x: Tensor) -> Tensor:
    parts = x.view(x.shape[0], 4, 2, 4, 2, 6).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(-1, 16, 6) * 2


def read_twice(x: Tensor) -> tuple[Tensor, ...]:
    parts = x.view(x.shape[0], 4, 2, 4, 2, 6).transpose(2, 3).contiguous()
    return parts.view(-1, 4, 6) * 2, parts.view(-1, 16, 6) + 1


def heads(x: Tensor) -> tuple[Tensor, ...]:
    parts = x.view(x.shape[0], 8, 2, 2, 2, 6).permute(3, 0, 4, 2, 1, 5)
    query, key = parts.unbind(0)
    return query * 2, key + query


def picked(x: Tensor) -> Tensor:
    parts = x.view(x.shape[0], 8, 2, 2, 2, 6).permute(3, 0, 4, 2, 1, 5)
    return parts[1] - parts[0]


def largest(x: Tensor) -> tuple[Tensor, ...]:
    values, places = x.view(x.shape[0], 2, 4, 2, 4, 6).max(dim=3)
    return values * 2, places


@pytest.mark.parametrize("function", [units, read_twice, heads, picked, largest])
@pytest.mark.parametrize("varies", [False, True], ids=["static", "varying"])
def test_one_delegate(function: Callable[[Tensor], Any], varies: bool) -> None:
    x = torch.randn(3, 8, 8, 6)
    partitioner = CoreMLPartitioner(compile_specs=specs())
    batch = torch.export.Dim("batch", min=1, max=8)
    shapes = (({0: batch},),) if varies else None
    program = lower(Call(function), (x,), dynamic_shapes=shapes, partitioner=partitioner)
    assert not [(each.op, each.reason) for each in partitioner.report.left_out]
    method = Runtime.get().load_program(program).load_method("forward")
    for size in (1, 3, 8) if varies else (3,):
        given = torch.randn(size, 8, 8, 6)
        expected = function(given)
        found = [each.clone() for each in method.execute([given])]
        expected = list(expected) if isinstance(expected, tuple) else [expected]
        torch.testing.assert_close(found, expected)
