"""Mutable buffers: state where Core ML can hold them, inputs and outputs where it cannot."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.blob import read_blob
from etcoreml.compiler import CoreMLBackend
from etcoreml.errors import FullGraphError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner

with quiet_imports():
    from executorch.exir import to_edge, to_edge_transform_and_lower

ct = coremltools()


class Counter(nn.Module):
    def __init__(self, start: Tensor, between: Any = None) -> None:
        super().__init__()
        self.register_buffer("count", start)
        self.between = between or (lambda x: x)

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(self.between(x))
        return self.count * 2


# ExecuTorch says that it does not store the zeros a buffer starts with.
pytestmark = pytest.mark.filterwarnings("ignore:Mutation on a buffer:UserWarning")

ZEROS = torch.zeros(4)
REASONS = [
    (ZEROS, ct.target.iOS18, {}, None),
    (ZEROS.half(), ct.target.iOS18, {}, None),
    (ZEROS, None, {}, None),
    (ZEROS, ct.target.iOS17, {}, "iOS18"),
    (ZEROS.int(), ct.target.iOS18, {}, "dtype"),
    (ZEROS + 7, ct.target.iOS18, {}, "starts as zeros"),
    (ZEROS, ct.target.iOS18, {"take_over_mutable_buffer": False}, "take_over_mutable_buffer"),
]


def partitioner(
    target: Any, precision: Any = ct.precision.FLOAT16, **how: Any
) -> CoreMLPartitioner:
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=target, compute_precision=precision
    )
    return CoreMLPartitioner(compile_specs=specs, **how)


def states(edge: Any) -> list[str]:
    blob = edge.exported_program().graph_module.lowered_module_0.processed_bytes
    model = read_blob(blob).read("model.mlpackage/Data/com.apple.CoreML/model.mlmodel")
    description = ct.proto.Model_pb2.Model.FromString(bytes(model)).description
    return [state.name for state in description.state]


@pytest.mark.parametrize(("start", "target", "how", "reason"), REASONS)
def test_buffer(start: Tensor, target: Any, how: dict[str, Any], reason: str | None) -> None:
    chosen = partitioner(target, **how)
    program = torch.export.export(Counter(start.clone()), (torch.ones(4, dtype=start.dtype),))
    edge = to_edge_transform_and_lower(program, partitioner=[chosen])
    (decision,) = [each for each in chosen.report if each.op == "buffer"]
    assert decision.delegated == (reason is None)
    assert (reason or "None") in str(decision.reason)
    assert bool(states(edge)) == (reason is None)
    assert edge.to_executorch().buffer


def test_float32_precision_keeps_float32_buffers_outside() -> None:
    chosen = partitioner(ct.target.iOS18, ct.precision.FLOAT32)
    program = torch.export.export(Counter(ZEROS.clone()), (torch.ones(4),))
    assert not states(to_edge_transform_and_lower(program, partitioner=[chosen]))
    assert "float32" in str(chosen.report.left_out[0].reason)


def test_a_buffer_two_delegates_need_stays_outside() -> None:
    chosen = partitioner(ct.target.iOS18)

    class Split(Counter):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.acosh(self.count + x)
            self.count.add_(y)
            return y

    program = torch.export.export(Split(ZEROS.clone()), (torch.ones(4),))
    edge = to_edge_transform_and_lower(program, partitioner=[chosen])
    assert "one single delegate" in str([str(each.reason) for each in chosen.report.left_out])
    assert edge.to_executorch().buffer


def test_a_full_graph_needs_its_buffers() -> None:
    program = torch.export.export(Counter(ZEROS.clone()), (torch.ones(4),))
    with pytest.raises(FullGraphError, match="iOS18"):
        to_edge_transform_and_lower(
            program, partitioner=[partitioner(ct.target.iOS17, lower_full_graph=True)]
        )
    edge = to_edge_transform_and_lower(
        program, partitioner=[partitioner(ct.target.iOS18, lower_full_graph=True)]
    )
    assert len(states(edge)) == 1


@pytest.mark.filterwarnings("error:Mutation on a buffer:UserWarning")
def test_an_initial_value_outside_survives() -> None:
    """Oracle: eager."""
    program = torch.export.export(Counter(ZEROS + 7), (torch.ones(4),))
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner(ct.target.iOS18)])
    loaded = etcoreml.load(bytes(edge.to_executorch().buffer))
    assert loaded.forward(torch.ones(4))[0].tolist() == [16.0] * 4
    assert loaded.forward(torch.ones(4))[0].tolist() == [18.0] * 4


def test_index_put_into_a_cache() -> None:
    """The shape of a key-value cache; upstream's own test of mutable buffers."""

    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(2, 3))

        def forward(self, query: Tensor, key: Tensor, position: Tensor) -> Tensor:
            keys = torch.ops.aten.index_put_(self.cache, [position, None], key)
            return keys.mm(query.transpose(0, 1))

    inputs = (torch.randn(1, 3), torch.randn(1, 3), torch.tensor([0]))
    edge = to_edge(torch.export.export(Cache(), inputs)).to_backend(partitioner(ct.target.iOS18))
    assert [
        node.target.__name__
        for node in edge.exported_program().graph.nodes
        if node.op == "call_function"
    ] == ["executorch_call_delegate", "getitem"]
    assert len(states(edge)) == 1
