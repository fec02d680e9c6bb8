"""What follows from positions is computed in fp32 in a model in fp16. Oracle: eager in fp32."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.compiler.positions import positions
from etcoreml.mil.ct import coremltools
from tests.call import Call
from tests.lowering import CoreMLPartitioner, lower, specs


def buckets(distance: Tensor) -> Tensor:
    """As T5 and MPNet have them: exact up to 8, then of a logarithm."""
    far = torch.log(distance.float() / 8) / math.log(128 / 8) * 8
    large = (8 + far.to(torch.int64)).clamp(max=15)
    return torch.where(distance < 8, distance, large)


class Relative(nn.Module):  # type: ignore[misc] # torch is untyped here
    """A bias by the distance of two tokens, added to scores."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Embedding(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(x.shape[1])
        return x.mean(-1, keepdim=True) + self.bias(buckets((place - place[:, None]).abs()))[..., 0]


class Rotary(nn.Module):  # type: ignore[misc] # torch is untyped here
    """Angles as transformers computes them, of positions that are given."""

    def __init__(self) -> None:
        super().__init__()
        frequencies = 10000.0 ** -(torch.arange(0, 32, 2) / 32)
        self.register_buffer("frequencies", frequencies)

    def forward(self, positions: Tensor, x: Tensor) -> Tensor:
        angles = self.frequencies[None, :, None].expand(1, -1, 1) @ positions[:, None, :].float()
        angles = angles.transpose(1, 2)
        return x * angles.cos() + x.flip(-1) * angles.sin()


def run(module: nn.Module, *inputs: Tensor, numerics: str, shapes: Any = None) -> Tensor:
    """Run in fp16."""
    partitioner = CoreMLPartitioner(
        compile_specs=specs("float16", minimum_deployment_target=coremltools().target.iOS18)
    )
    program = lower(module.eval(), inputs, dynamic_shapes=shapes, partitioner=partitioner)
    assert not partitioner.report.left_out
    (found,) = etcoreml.load(program, numerics=numerics).forward(*inputs)
    assert isinstance(found, Tensor)
    return found


@pytest.fixture(params=["fast", "faithful"])
def numerics(request: pytest.FixtureRequest) -> str:
    """Constants are rounded to fp16, or every value."""
    return str(request.param)


def test_buckets_are_exact(numerics: str) -> None:
    distances = torch.arange(200, dtype=torch.int32)
    found = run(Call(lambda x: buckets(x) + 0), distances, numerics=numerics)
    torch.testing.assert_close(found, buckets(distances), rtol=0, atol=0)


def test_buckets_of_a_length_that_varies(numerics: str) -> None:
    module, x = Relative(), torch.randn(1, 130, 4)
    shapes = {"x": {1: torch.export.Dim("length", min=2, max=256)}}
    torch.testing.assert_close(
        run(module, x, numerics=numerics, shapes=shapes), module(x), rtol=4e-3, atol=4e-3
    )


def test_angles_of_far_positions(numerics: str) -> None:
    places = torch.tensor([[0, 1, 2047, 2049, 4095, 100_003]], dtype=torch.int32)
    x = torch.randn(1, 6, 16)
    expected = Rotary()(places, x)
    torch.testing.assert_close(
        run(Rotary(), places, x, numerics=numerics), expected, rtol=4e-3, atol=4e-3
    )


def named(function: Callable[..., Any], *inputs: Tensor) -> set[str]:
    program = torch.export.export(Call(function), inputs).run_decompositions({})
    found = positions(program)
    return {str(each.target) for each in program.graph.nodes if each.name in found}


IDS, X = torch.arange(6).reshape(2, 3), torch.randn(2, 3)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda ids, x: (1.0 - ids.float()) * torch.finfo(torch.float32).min + x, set()),
        (lambda ids, x: (x * 10).to(torch.int64) + ids, set()),
        (lambda ids, x: torch.cos(x * ids), set()),
        (lambda ids, x: torch.nn.functional.embedding(ids, torch.ones(6, 4)).cos(), set()),
        (lambda ids, x: ids.float().sum(-1).cos(), set()),
        (lambda ids, x: ids.float() * 0.5 < 1.5, {"aten._to_copy.default", "aten.mul.Tensor"}),
    ],
    ids=["mask", "activations", "both", "embedding", "sum", "comparison"],
)
def test_which_nodes(function: Callable[..., Any], found: set[str]) -> None:
    assert named(function, IDS, X) - {"aten.lt.Scalar"} == found
