"""Attention with fewer key heads than query heads; the oracle is eager PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from etcoreml.blob import Directory
from etcoreml.mil import load_package
from tests.compiler.conftest import Lower
from tests.lowering import CoreMLPartitioner, Runtime, coremltools, specs
from tests.lowering import lower as lower_to_bytes

IOS18 = coremltools().target.iOS18


class Grouped(nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)


def operands(batch: int, heads: int, key_heads: int, length: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    counts = (heads, key_heads, key_heads)
    return tuple(torch.randn(batch, n, length, 8, generator=generator) for n in counts)


def test_stays_one_op(lower: Lower) -> None:
    (tree,) = lower(
        Grouped(),
        operands(1, 4, 2, 5),
        compile_specs=specs(minimum_deployment_target=IOS18),
        lower_full_graph=True,
    )
    package = tree.find("model.mlpackage")
    assert isinstance(package, Directory)
    kinds = [each.type for each in load_package(package).functions["main"].block.walk()]
    assert kinds.count("scaled_dot_product_attention") == 1
    assert "matmul" not in kinds


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
def test_equals_eager(key_heads: int, target: str) -> None:
    options = specs(minimum_deployment_target=getattr(coremltools().target, target))
    partitioner = CoreMLPartitioner(compile_specs=options, lower_full_graph=True)
    inputs = operands(2, 4, key_heads, 5)
    program = lower_to_bytes(Grouped(), inputs, partitioner=partitioner)
    (found,) = Runtime.get().load_program(program).load_method("forward").execute(list(inputs))
    torch.testing.assert_close(found, Grouped()(*inputs), rtol=1e-5, atol=1e-5)


def test_batch_and_length_vary() -> None:
    axes = {0: Dim("batch", min=1, max=4), 2: Dim("length", min=2, max=16)}
    partitioner = CoreMLPartitioner(
        compile_specs=specs(minimum_deployment_target=IOS18), lower_full_graph=True
    )
    program = lower_to_bytes(
        Grouped(), operands(2, 4, 2, 5), dynamic_shapes=(axes,) * 3, partitioner=partitioner
    )
    method = Runtime.get().load_program(program).load_method("forward")
    for batch, length in ((2, 5), (1, 16), (4, 2)):
        inputs = operands(batch, 4, 2, length)
        (found,) = method.execute(list(inputs))
        torch.testing.assert_close(found, Grouped()(*inputs), rtol=1e-5, atol=1e-5)
