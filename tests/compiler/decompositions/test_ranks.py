"""Ops on more than five dimensions; the oracle is eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.compiler.decompositions import MAX_RANK, lower_ranks
from tests.call import Call
from tests.coverage.case import floats

_X = floats(2, 4, 18)


def _many(x: Tensor) -> Tensor:
    return x.view(1, 2, 2, 2, 3, 6)


def _spread(x: Tensor) -> Tensor:
    y = _many(x)
    return (y - y.mean((2, 3), keepdim=True) + y[0, 0, 0]).reshape(-1, 4)


def _chosen(x: Tensor) -> Tensor:
    y = _many(x)
    return torch.where(y > 0, y, torch.zeros(3, 6)).reshape(4, 36)


def _moved(x: Tensor) -> Tensor:
    return (_many(x).permute(5, 4, 3, 2, 1, 0) * 2).exp().reshape(6, -1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (_many(x) * 2.5).exp().view(4, 36),
        lambda x: _many(x).sum((1, 2)),
        lambda x: _many(x).amax(-1),
        lambda x: _many(x).mean(None),
        _spread,
        _chosen,
        _moved,
    ],
)
def test_numbers_and_ranks(function: Callable[..., Any]) -> None:
    program = torch.export.export(Call(function), (_X,)).run_decompositions({})
    assert lower_ranks(program.graph)
    program.graph.eliminate_dead_code()
    program.graph.lint()
    program.graph_module.recompile()
    torch.testing.assert_close(program.module()(_X), function(_X))
    views = ("view", "permute", "clone", "select")
    assert not [
        node
        for node in program.graph.nodes
        if node.op == "call_function"
        and node.target._opname not in views
        and max(each.meta["val"].dim() for each in (node, *node.all_input_nodes)) > MAX_RANK
    ]


def test_what_cannot_be_merged_stays() -> None:
    columns = floats(3, 1, 3, 1, 3, 1)
    program = torch.export.export(Call(torch.add), (columns, floats(1, 3, 1, 3, 1, 3)))
    assert not lower_ranks(program.run_decompositions({}).graph)


def test_sizes_that_vary_stay() -> None:
    rows = torch.export.Dim("rows", min=2, max=8)
    program = torch.export.export(
        Call(lambda x: x * 2), (floats(2, 1, 2, 1, 2, 3),), dynamic_shapes=(({0: rows},),)
    )
    assert not lower_ranks(program.run_decompositions({}).graph)
