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
    "diagonals of a batch": lambda x: (x.unsqueeze(1) * x.unsqueeze(2)).diagonal(0, 1, 2) * 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sizes(name: str) -> None:
    function = FUNCTIONS[name]
    n = torch.export.Dim("n", min=2, max=64)
    program = lower(Call(function), (torch.randn(8, 6),), dynamic_shapes=(({0: n},),))
    method = Runtime.get().load_program(program).load_method("forward")
    for size in (4, 7, 10):
        x = torch.randn(size, 6)
        expected = function(x)
        found = [each.clone() for each in method.execute([x])]
        expected = list(expected) if isinstance(expected, list) else [expected]
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
