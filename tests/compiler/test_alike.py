"""Partitions that are alike are converted once, and nothing else is taken for alike.

Oracle: what a partition is lowered to on its own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.blob import read_blob
from etcoreml.compiler import alike, partitions
from etcoreml.imports import quiet_imports
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call
from tests.lowering import to_edge_transform_and_lower

with quiet_imports():
    from executorch.exir import to_edge

MODEL = "model.mlpackage/Data/com.apple.CoreML/model.mlmodel"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The partitions that were converted."""
    seen: list[Any] = []
    converted = partitions.converted

    def noted(program: Any, options: Any) -> Any:
        seen.append(program)
        return converted(program, options)

    monkeypatch.setattr(partitions, "converted", noted)
    return seen


def delegates(module: nn.Module, *inputs: Tensor) -> list[Any]:
    """Lower a module, with acosh outside, and return its delegates."""
    program = torch.export.export(module.eval(), inputs)
    edge = to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])
    edge.to_executorch()
    children = edge.exported_program().graph_module.named_children()
    return [each for name, each in children if name.startswith("lowered_module")]


def repeated(layers: list[nn.Module]) -> nn.Module:
    class Between(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.acosh(x)

    return nn.Sequential(*(part for each in layers for part in (each, Between())))


def linear(value: float = 1.0) -> nn.Module:
    layer = nn.Linear(8, 8)
    with torch.no_grad():
        layer.weight.fill_(value)
        layer.bias.fill_(2.0)
    return layer


def test_layers_that_repeat_are_converted_once(conversions: list[Any]) -> None:
    found = delegates(repeated([nn.GELU() for _ in range(5)]), torch.randn(4))
    assert (len(found), len(conversions)) == (5, 1)
    trees = [read_blob(each.processed_bytes) for each in found]
    assert len({bytes(each.read(MODEL)) for each in trees}) == 1


def test_equal_weights_are_recognised_by_value(conversions: list[Any]) -> None:
    found = delegates(repeated([linear(), linear()]), torch.randn(2, 8))
    assert (len(found), len(conversions)) == (2, 1)


@pytest.mark.parametrize("other", [1.5, -1.0])
def test_other_weights_are_another_model(conversions: list[Any], other: float) -> None:
    delegates(repeated([linear(), linear(other)]), torch.randn(2, 8))
    assert len(conversions) == 2


def test_zeros_of_another_sign_are_another_model(conversions: list[Any]) -> None:
    delegates(repeated([linear(0.0), linear(-0.0)]), torch.randn(2, 8))
    assert len(conversions) == 2


@pytest.mark.parametrize(
    "layers",
    [
        (nn.GELU(), nn.GELU(approximate="tanh")),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
        (nn.Softmax(0), nn.Softmax(1)),
        (nn.Conv1d(2, 2, 1, bias=False), nn.Conv1d(2, 2, 1)),
        (nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Tanh())),
    ],
)
def test_other_ops_and_arguments_are_another_model(
    conversions: list[Any], layers: tuple[nn.Module, ...]
) -> None:
    delegates(repeated(list(layers)), torch.randn(2, 3))
    assert len(conversions) == 2


def test_other_shapes_are_another_model(conversions: list[Any]) -> None:
    def function(x: Tensor) -> Tensor:
        return torch.acosh(torch.acosh(x * 2)[:2] * 2)

    delegates(Call(function), torch.randn(5))
    assert len(conversions) == 2


def test_what_is_reused_is_what_each_would_be_but_for_names(conversions: list[Any]) -> None:
    """The second delegate has the second layer's debug handles, not the first's."""
    first, second = delegates(repeated([nn.GELU(), nn.GELU()]), torch.randn(4))
    assert len(conversions) == 1
    handles = [
        {
            node.meta["debug_handle"]
            for node in each.original_module.graph.nodes
            if node.op == "call_function"
        }
        for each in (first, second)
    ]
    assert not handles[0] & handles[1]
    for each, expected in zip((first, second), handles, strict=True):
        told = {handle for found in each.meta["debug_handle_map"].values() for handle in found}
        assert told
        assert told <= expected
        tree = read_blob(each.processed_bytes)
        noted = json.loads(bytes(tree.read("debug_info.json")))["debugSymbolToHandles"]
        assert noted == {
            symbol: list(found) for symbol, found in each.meta["debug_handle_map"].items()
        }


def test_states_are_converted_on_their_own() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            self.count.add_(x)
            return self.count * 2

    program = to_edge(torch.export.export(Counter(), (torch.randn(4),))).exported_program()
    assert alike._structure(program, []) is None


def test_weights_of_subclasses_are_not_compared() -> None:
    class Wrapped(Tensor):
        pass

    one, other = (torch.ones(2).as_subclass(Wrapped) for _ in range(2))  # type: ignore[arg-type]
    assert not alike._equal_bits(one, other)
    assert alike._equal_bits(one, one)


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.empty(0), torch.ones(2, 3).T])
def test_bits_are_compared(value: Tensor) -> None:
    assert alike._equal_bits(value, value.clone())


def test_every_partitioner_is_told_the_target(conversions: list[Any]) -> None:
    partitioners = {name: CoreMLPartitioner() for name in ("one", "two")}
    program = torch.export.export(nn.ReLU(), (torch.ones(4, dtype=torch.float16),))
    to_edge_transform_and_lower(
        dict.fromkeys(partitioners, program),
        partitioner={name: [each] for name, each in partitioners.items()},
    )
    assert len(conversions) == 1
    targets = {each.report.options["minimum_deployment_target"] for each in partitioners.values()}
    assert targets == {"iOS16"}
