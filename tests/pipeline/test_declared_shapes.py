"""Inputs of other shapes than were declared. Oracle: the declarations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import etcoreml
from etcoreml.errors import ShapeError
from tests.lowering import (
    CoreMLBackend,
    CoreMLPartitioner,
    coremltools,
    lower,
    specs,
    to_edge_transform_and_lower,
)

ct = coremltools()


class Product(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y


class Pair(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, y * 2


@pytest.fixture(scope="module")
def ranges() -> etcoreml.Program:
    """Batch 1 to 4, sequence 4 to 64."""
    batch, sequence = Dim("batch", min=1, max=4), Dim("sequence", min=4, max=64)
    shapes = {0: batch, 1: sequence}, {0: batch, 2: sequence}
    inputs = torch.randn(2, 8, 3), torch.randn(2, 3, 8)
    return etcoreml.load(lower(Product(), inputs, dynamic_shapes=shapes))


@pytest.mark.parametrize(("batch", "sequence"), [(1, 4), (2, 8), (4, 64), (1, 63)])
def test_batch_and_sequence_in_range(ranges: etcoreml.Program, batch: int, sequence: int) -> None:
    """Oracle: eager."""
    x, y = torch.randn(batch, sequence, 3), torch.randn(batch, 3, sequence)
    torch.testing.assert_close(ranges.forward(x, y)[0], x @ y)


@pytest.mark.parametrize(("least", "declared"), [(1, 2), (2, 4), (3, 6)])
def test_twice_a_size(least: int, declared: int) -> None:
    half = Dim("half", min=least, max=10)
    program = etcoreml.load(lower(nn.ReLU(), (torch.randn(8, 3),), dynamic_shapes=({0: 2 * half},)))
    x = torch.randn(declared, 3)
    torch.testing.assert_close(program.forward(x)[0], x.relu())
    with pytest.raises(ShapeError, match=rf"{declared} to 20"):
        program.forward(torch.randn(declared - 1, 3))


def test_a_size_of_one_where_executorch_renames_the_input() -> None:
    """Oracle: eager."""
    module = nn.AvgPool2d(3)  # whose input is called input, a builtin of Python
    shapes = ({0: Dim("batch", min=1, max=4)},)
    program = etcoreml.load(lower(module, (torch.randn(2, 3, 9, 9),), dynamic_shapes=shapes))
    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(program.forward(x)[0], module(x))


def test_below_the_range(ranges: etcoreml.Program) -> None:
    with pytest.raises(ShapeError, match=r"found \(1, 3, 3\); expected \(1 to 4, 4 to 64, 3\)"):
        ranges.forward(torch.randn(1, 3, 3), torch.randn(1, 3, 3))


def test_above_the_range(ranges: etcoreml.Program) -> None:
    with pytest.raises(ShapeError, match=r"found \(2, 65, 3\); expected \(<=4, <=64, <=3\)"):
        ranges.forward(torch.randn(2, 65, 3), torch.randn(2, 3, 65))


def test_a_fixed_size_beside_a_range(ranges: etcoreml.Program) -> None:
    with pytest.raises(ShapeError, match=r"found \(2, 8, 2\); expected \(1 to 4, 4 to 64, 3\)"):
        ranges.forward(torch.randn(2, 8, 2), torch.randn(2, 3, 8))


@pytest.fixture(scope="module", params=[False, True], ids=["non-strict", "strict"])
def enumerated(request: pytest.FixtureRequest) -> Any:
    batch, length = Dim("batch", min=1, max=16), Dim("length", min=1, max=16)
    program = torch.export.export(
        Pair(),
        (torch.randn(2, 4), torch.randn(3, 5)),
        dynamic_shapes=({0: batch}, {1: length}),
        strict=request.param,
    )
    shapes = {"x": [[2, 4], [8, 4]], "y": [[3, 5], [3, 16]]}
    table = CoreMLBackend.generate_enumerated_shapes_compile_spec(program, shapes)
    partitioner = CoreMLPartitioner(
        compile_specs=[*specs(minimum_deployment_target=ct.target.iOS18), table],
        lower_full_graph=True,
    )
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    return etcoreml.load(bytes(edge.to_executorch().buffer))


@pytest.mark.parametrize("shapes", [((2, 4), (3, 5)), ((8, 4), (3, 16))])
def test_enumerated(enumerated: etcoreml.Program, shapes: Any) -> None:
    """Oracle: eager."""
    inputs = [torch.randn(shape) for shape in shapes]
    torch.testing.assert_close(tuple(enumerated.forward(*inputs)), Pair()(*inputs))


def test_a_shape_between_the_enumerated_ones(enumerated: etcoreml.Program) -> None:
    with pytest.raises(ShapeError, match=r"'x'; found \(3, 4\); expected \(2, 4\) or \(8, 4\)"):
        enumerated.forward(torch.randn(3, 4), torch.randn(3, 5))


def test_enumerated_shapes_of_two_calls(enumerated: etcoreml.Program) -> None:
    pattern = r"go in step; found \(2, 4\), \(3, 16\); expected \(2, 4\), \(3, 5\) or \(8, 4\)"
    with pytest.raises(ShapeError, match=pattern):
        enumerated.forward(torch.randn(2, 4), torch.randn(3, 16))
