"""Questions about nodes, on ATen and edge programs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from etcoreml.imports import quiet_imports
from etcoreml.partition.node import argument, is_static, op_name, operand, operands, results

with quiet_imports():
    from executorch.exir import to_edge


class Net(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        values, _ = torch.max(x, 1)
        return torch.add(values, values, alpha=3)


@pytest.fixture(params=["aten", "edge"])
def nodes(request: pytest.FixtureRequest) -> dict[str, torch.fx.Node]:
    program = torch.export.export(Net(), (torch.randn(2, 3),))
    if request.param == "edge":
        program = to_edge(program).exported_program()
    return {op_name(node): node for node in program.graph.nodes}


def test_names_are_those_of_the_schema(nodes: dict[str, torch.fx.Node]) -> None:
    assert {"placeholder", "output", "getitem", "aten.max.dim", "aten.add.Tensor"} <= set(nodes)


def test_tensors(nodes: dict[str, torch.fx.Node]) -> None:
    maximum = nodes["aten.max.dim"]
    assert [tuple(each.shape) for each in operands(maximum)] == [(2, 3)]
    assert [each.dtype for each in results(maximum)] == [torch.float32, torch.int64]
    assert is_static(operands(maximum)[0].shape)


def test_arguments(nodes: dict[str, torch.fx.Node]) -> None:
    assert argument(nodes["aten.max.dim"], "dim") == 1
    assert argument(nodes["aten.max.dim"], "keepdim") is False
    assert argument(nodes["aten.add.Tensor"], "alpha") == 3
    with pytest.raises(KeyError, match="nonsense"):
        argument(nodes["aten.add.Tensor"], "nonsense")
    found = operand(nodes["aten.add.Tensor"], "other")
    assert found is not None
    assert tuple(found.shape) == (2,)
    assert operand(nodes["aten.max.dim"], "dim") is None
