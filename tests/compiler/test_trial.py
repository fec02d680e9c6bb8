"""What the rules do not know is tried, so that one failing op never aborts a lowering."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from etcoreml.compiler import passes, torch_ops, trial
from etcoreml.errors import LowerError
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call
from tests.lowering import to_edge_transform_and_lower


def _left_out(tries: pytest.MonkeyPatch, fails: bool) -> list[str]:
    """Lower cumsum(x) * 3 with a converter of cumsum that fails or not."""

    def convert(context: Any, node: Any) -> None:
        if fails:
            what = "not today"
            raise ValueError(what)
        torch_ops._torch.ops.cumsum(context, node)

    converters = {**torch_ops.OWN_CONVERTERS, "cumsum": convert}
    tries.setattr(torch_ops, "OWN_CONVERTERS", converters)
    tries.setattr(trial, "_VERDICTS", {})

    def function(x: Tensor) -> Tensor:
        return torch.cumsum(x, 0) * 3

    partitioner = CoreMLPartitioner()
    program = torch.export.export(Call(function), (torch.randn(3),))
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    edge.to_executorch()
    assert "aten.mul.Tensor" in [each.op for each in partitioner.report.delegated]
    return [f"{each.op}: {each.reason}" for each in partitioner.report.left_out]


def test_a_node_that_fails_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _left_out(monkeypatch, fails=True)
    assert told.startswith("aten.cumsum.default: coremltools does not convert it: ValueError")
    assert len(trial._VERDICTS) == 4  # the target asked for, and newer ones for the report's advice


def test_a_node_that_converts_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _left_out(monkeypatch, fails=False)


def test_a_full_disk_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(program: Any, pipeline: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(passes, "run", fails)
    with pytest.raises(LowerError, match="No space left"):
        _left_out(monkeypatch, fails=False)
    assert not trial._VERDICTS
