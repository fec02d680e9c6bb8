"""Sizes that something fixed on the way are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from tests.call import Call
from tests.lowering import CoreMLPartitioner, to_edge_transform_and_lower


@pytest.fixture(scope="module", autouse=True)
def list_of_tensors() -> object:
    """An op of somebody else's that returns a list: ExecuTorch fixes the first size of each."""
    with torch.library._scoped_library("etcoreml_tests", "FRAGMENT") as library:
        library.define("halves(Tensor x) -> Tensor[]")
        library.impl("halves", lambda x: [x[:, :3] * 1, x[:, 3:] * 1], "CompositeExplicitAutograd")
        yield library


def warnings_of(caplog: pytest.LogCaptureFixture, fixes: bool) -> list[str]:
    def function(x: Tensor) -> Tensor:
        first, second = torch.ops.etcoreml_tests.halves(x) if fixes else (x[:, :3], x[:, 3:])
        return first + second

    program = torch.export.export(
        Call(function), (torch.ones(5, 6),), dynamic_shapes=(({0: Dim("n", min=2, max=9)},),)
    )
    to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])
    return [each.message for each in caplog.records if "was fixed to" in each.message]


def test_a_fixed_size_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    (warning,) = warnings_of(caplog, fixes=True)
    assert "dimension 0 of input 'inputs_0' varies" in warning
    assert "fixed to 5" in warning


def test_sizes_that_still_vary_are_not(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, fixes=False) == []
