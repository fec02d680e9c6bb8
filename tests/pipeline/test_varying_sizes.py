"""Sizes that vary are never those of the example: each function at three others, beside eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from tests.call import Call
from tests.lowering import Runtime, lower

FUNCTIONS: dict[str, Callable[[Tensor], Any]] = {
    "split": lambda x: [each * 2 for each in x.split(2, 1)],
    "roll": lambda x: x.roll(1, 0) * 2,
    "repeat_interleave": lambda x: x.repeat_interleave(2, 0) * 2,
    "arange": lambda x: x + torch.arange(x.shape[0]).unsqueeze(1),
    "pad by the size": lambda x: F.pad(x, (0, 0, 1, x.shape[0])) * 2,
    "tril": lambda x: (x @ x.T).tril() * 2,
    "diagonal": lambda x: (x @ x.T).diagonal() * 2,
    "circular pad": lambda x: F.pad(x.T.unsqueeze(0), (1, 2), mode="circular") * 2,
    "gru_cell": lambda x: torch.gru_cell(x, x, torch.ones(18, 6), torch.ones(18, 6)),
    "eye": lambda x: torch.eye(x.shape[0]) @ x,
    "median": lambda x: x.median(0).values * 2,
    "layer_norm": lambda x: F.layer_norm(x.T, (x.shape[0],)) * 2,
    "logcumsumexp": lambda x: (x * 50).logcumsumexp(0),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x.T.unsqueeze(0), 3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x[None, None], (3, 4)),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x[None, None, None], (1, 3, 2)),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x.T.unsqueeze(0), 3),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x[None, None], (3, 4)),
    "pools of a batch": lambda x: [
        pool(x.reshape(-1, 1, 2, 3), size) * 2
        for pool in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
        for size in ((2, 3), (1, 3), (2, 2), (1, 1))
    ],
    "windows of a batch": lambda x: [
        F.fold(F.unfold(x.reshape(-1, 1, 2, 3), 2, padding=1), (2, 3), 2, padding=1),
        F.fold(
            F.unfold(x.reshape(-1, 1, 2, 3), (2, 1), stride=(2, 1)), (2, 3), (2, 1), stride=(2, 1)
        ),
    ],
    "where by a wider mask": lambda x: torch.where((x > 0).unsqueeze(1), x.unsqueeze(0), 2.0),
    "integer division": lambda x: (torch.arange(x.shape[0]) * 9973) // 7,
    "diagonals of a batch": lambda x: (x.unsqueeze(1) * x.unsqueeze(2)).diagonal(0, 1, 2) * 2,
}


def check(function: Callable[[Tensor], Any], sizes: Any, example: int) -> None:
    program = lower(Call(function), (torch.randn(example, 6),), dynamic_shapes=(({0: sizes},),))
    method = Runtime.get().load_program(program).load_method("forward")
    for size in (4, 8, 10):
        x = torch.randn(size, 6)
        expected = function(x)
        found = [each.clone() for each in method.execute([x])]
        expected = list(expected) if isinstance(expected, list) else [expected]
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sizes(name: str) -> None:
    check(FUNCTIONS[name], torch.export.Dim("n", min=2, max=64), 7)


@pytest.mark.parametrize("parts", [2, 1])
def test_parts_of_a_size(parts: int) -> None:
    half = torch.export.Dim("half", min=2, max=32)
    check(lambda x: [each * 2 for each in x.chunk(parts)], 2 * half, 6)
