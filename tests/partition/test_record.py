"""What the partitioner's report holds, program by program.

Oracle: the graphs that executorch makes of the same lowering, and shapes known by hand.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.imports import quiet_imports

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower

    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner, Decision
    from tests.lowering import specs

ct = coremltools()
IOS18 = specs("float16", minimum_deployment_target=ct.target.iOS18)


def lowered(
    module: nn.Module, inputs: tuple[Any, ...], partitioner: CoreMLPartitioner, **options: Any
) -> Any:
    program = torch.export.export(module, inputs, strict=False, **options)
    return to_edge_transform_and_lower(program, partitioner=[partitioner])


def only(decisions: list[Decision], op: str) -> Decision:
    (found,) = (each for each in decisions if each.op == op)
    return found


class Broken(nn.Module):
    """A linear layer, an op Core ML does not take, another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = torch.acosh(x)
        return self.last(x)


def test_every_field_of_a_broken_model() -> None:
    partitioner = CoreMLPartitioner(compile_specs=IOS18)
    lowered(Broken(), (torch.ones(3, 4),), partitioner)
    report = partitioner.report
    assert report.options == {"minimum_deployment_target": "iOS18", "compute_precision": "float16"}
    outside = only(report.left_out, "aten.acosh.default")
    assert outside.source is not None
    assert outside.source.file == __file__
    assert outside.source.code == "x = torch.acosh(x)"
    assert outside.advice == "write torch.log(x + torch.sqrt(x * x - 1))"
    assert not outside.lacks_kernel
    assert (outside.flops, outside.nbytes) == (24, 2 * 96)
    linear = [each for each in report if each.op == "aten.linear.default"]
    assert [each.delegate for each in linear] == [0, 1]
    assert [each.flops for each in linear] == [2 * 3 * 4 * 8, 2 * 3 * 8 * 2]
    assert [each.module for each in linear] == ["first", "last"]
    assert [value.constant for value in linear[0].inputs] == [False, True, True]
    (program,) = report.programs
    assert program.method == "forward"
    assert [each.weight_nbytes for each in program.delegates] == [(32 + 8) * 4, (16 + 2) * 4]
    assert [str(v) for d in program.delegates for v in (*d.inputs, *d.outputs)] == [
        "float32 (3, 4)",
        "float32 (3, 8)",
        "float32 (3, 8)",
        "float32 (3, 2)",
    ]
    (gap,) = program.breaks
    assert (gap.before, gap.after, gap.nodes) == ((0,), (1,), (outside.node,))
    assert (gap.nbytes, gap.calls) == (2 * 96, 1)


def test_delegates_are_those_of_the_program() -> None:
    partitioner = CoreMLPartitioner()
    edge = lowered(Broken(), (torch.ones(3, 4),), partitioner)
    calls = [
        node
        for node in edge.exported_program().graph.nodes
        if getattr(node.target, "__name__", "") == "executorch_call_delegate"
    ]
    delegates = partitioner.report.programs[0].delegates
    assert len(delegates) == len(calls)
    assert [len(each.inputs) for each in delegates] == [len(call.args) - 1 for call in calls]


def test_sizes_that_vary() -> None:
    batch = torch.export.Dim("batch", min=2, max=8)
    partitioner = CoreMLPartitioner()
    lowered(Broken(), (torch.ones(3, 4),), partitioner, dynamic_shapes=({0: batch},))
    (program,) = partitioner.report.programs
    ((symbol, size),) = program.sizes.items()
    assert (size.example, size.low, size.high) == (3, 2, 8)
    assert program.delegates[0].inputs[0].shape == (symbol, 4)
    assert program.breaks[0].nbytes == 2 * 96
    assert f"{symbol}=3" in str(partitioner.report)


def test_methods_have_their_names() -> None:
    partitioner = CoreMLPartitioner()
    programs = {
        "encode": torch.export.export(Broken(), (torch.ones(3, 4),)),
        "decode": torch.export.export(nn.Linear(4, 2), (torch.ones(1, 4),)),
    }
    to_edge_transform_and_lower(programs, partitioner=[partitioner])
    report = partitioner.report
    assert {each.method for each in report.programs} == {"encode", "decode"}
    totals = report.totals()
    assert totals.delegates == 3
    assert totals.nodes == sum(report.totals(each.index).nodes for each in report.programs)
    assert "method decode: 1 of 1 node (100.0 %) to Core ML, in 1 delegate" in str(report)


class Counter(nn.Module):
    """A buffer that every call changes."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(x)
        return self.count * 2


@pytest.mark.parametrize("state", [True, False])
def test_mutable_buffers(state: bool) -> None:
    partitioner = CoreMLPartitioner(compile_specs=IOS18, take_over_mutable_buffer=state)
    lowered(Counter(), (torch.ones(3),), partitioner)
    buffer = only(list(partitioner.report), "buffer")
    assert buffer.delegated == state
    assert buffer.delegate == (0 if state else None)
    (delegate,) = partitioner.report.programs[0].delegates
    # State does not cross the border.
    assert len(delegate.inputs) == len(delegate.outputs) == (1 if state else 2)


def test_constants_that_are_not_taken_over_enter_with_every_call() -> None:
    partitioner = CoreMLPartitioner(take_over_constant_data=False)
    lowered(nn.Linear(4, 2), (torch.ones(1, 4),), partitioner)
    (delegate,) = partitioner.report.programs[0].delegates
    assert delegate.weight_nbytes == 0
    assert len(delegate.inputs) == 3


def test_branches_are_counted() -> None:
    class Choice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))

    partitioner = CoreMLPartitioner()
    lowered(Choice(), (torch.ones(3),), partitioner)
    outside = {each.op: each for each in partitioner.report.left_out}
    assert {"cond", "aten.sin.default", "aten.cos.default"} <= outside.keys()
    assert outside["aten.sin.default"].reason == "control flow runs outside of delegates"
    assert outside["aten.sin.default"].node.startswith("cond.")


def test_a_model_without_a_delegate() -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.acosh(x)

    partitioner = CoreMLPartitioner()
    lowered(Alone(), (torch.ones(3),), partitioner)
    (program,) = partitioner.report.programs
    assert (program.delegates, program.breaks) == ((), ())
    assert partitioner.report.summary() == "0 of 1 node (0.0 %) to Core ML"


class Inverse(nn.Module):
    """An op without a kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.inv(x * 2) + 1


def test_an_op_that_nothing_runs_is_reported_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    partitioner = CoreMLPartitioner()
    with caplog.at_level(logging.WARNING, "etcoreml"):
        lowered(Inverse(), (torch.eye(2),), partitioner)
    (missing,) = partitioner.report.without_kernel
    assert missing.op == "aten.linalg_inv_ex.default"
    assert missing.advice is not None
    assert "link a kernel" in missing.advice
    (message,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "aten.linalg_inv_ex.default at " in message
    assert "return torch.linalg.inv(x * 2) + 1" in message
    assert "will not load" in str(partitioner.report)
