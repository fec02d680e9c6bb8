"""bfloat16 programs; the oracle is the same network in float32."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.lowering import (
    CoreMLPartitioner,
    Runtime,
    coremltools,
    specs,
    to_edge_transform_and_lower,
)

BF16 = torch.bfloat16


class Block(nn.Module):
    """Weights that are used twice, a branch in float32, integers, and an input that is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.linear.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = torch.softmax(self.linear(x).float(), -1).to(x.dtype)
        z = self.tied(y * self.scale) + torch.full((8,), 0.25, dtype=x.dtype)
        return z, z, z.argmax(-1), x


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4, dtype=BF16))

    def forward(self, x: Tensor) -> Tensor:
        self.total += x
        return self.total * 2


def lowered(
    module: nn.Module, inputs: tuple[Tensor, ...], precision: str = "float32"
) -> tuple[Any, CoreMLPartitioner]:
    partitioner = CoreMLPartitioner(
        compile_specs=specs(precision, minimum_deployment_target=coremltools().target.iOS18)
    )
    exported = torch.export.export(module.eval(), inputs)
    manager = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    program = bytes(manager.to_executorch().buffer)
    return Runtime.get().load_program(program).load_method("forward"), partitioner


def test_computes_in_float32() -> None:
    torch.manual_seed(0)
    module, x = Block().to(BF16), torch.randn(3, 8).to(BF16)
    truth = copy.deepcopy(module).float()(x.float())
    method, partitioner = lowered(module, (x,))
    found = method.execute([x])
    assert [each.dtype for each in found] == [BF16, BF16, torch.int64, BF16]
    torch.testing.assert_close(found[0], truth[0].to(BF16), rtol=0, atol=0)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert torch.equal(found[2], truth[2])
    assert torch.equal(found[3], x)
    assert {each.op for each in partitioner.report.left_out} == {
        "dim_order_ops._to_dim_order_copy.default"
    }


def test_leaves_the_users_program_as_it_was() -> None:
    module, x = Block().to(BF16), torch.randn(3, 8).to(BF16)
    exported = torch.export.export(module.eval(), (x,))
    before, code = exported.module()(x), exported.graph_module.code
    to_edge_transform_and_lower(exported, partitioner=[CoreMLPartitioner()])
    assert {each.dtype for each in exported.state_dict.values()} == {BF16}
    assert exported.graph_module.code == code
    torch.testing.assert_close(exported.module()(x), before, rtol=0, atol=0)


def test_mutable_buffer() -> None:
    method, partitioner = lowered(Counter(), (torch.ones(4, dtype=BF16),), "float16")
    assert [each.delegated for each in partitioner.report if each.op == "buffer"] == [True]
    for total in (3.0, 6.0):
        (found,) = method.execute([torch.full((4,), 3.0, dtype=BF16)])
        assert torch.equal(found, torch.full((4,), 2 * total, dtype=BF16))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 3e38, 0.0, -0.0])
def test_edge_values(value: float) -> None:
    x = torch.tensor([value, 1.0], dtype=BF16)

    class Halve(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x / 2

    method, _ = lowered(Halve(), (x,))
    (found,) = method.execute([x])
    torch.testing.assert_close(found, Halve()(x), rtol=0, atol=0, equal_nan=True)


def test_an_op_that_reads_the_bits_stays_bfloat16() -> None:
    class Bits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * 2).view(torch.int16) + 1

    x = torch.tensor([1.5, -3.0], dtype=BF16)
    edge = to_edge_transform_and_lower(
        torch.export.export(Bits(), (x,)), partitioner=[CoreMLPartitioner()]
    )
    dtypes = {
        each.meta["val"].dtype
        for each in edge.exported_program().graph.nodes
        if isinstance(each.meta.get("val"), Tensor)
    }
    assert torch.float32 not in dtypes


def test_an_op_of_the_users_own_gets_bfloat16() -> None:
    with torch.library._scoped_library("etcoreml_tests", "FRAGMENT") as library:
        library.define("doubled(Tensor x) -> Tensor")

        @torch.library.register_fake("etcoreml_tests::doubled", lib=library)
        def doubled(x: Tensor) -> Tensor:
            assert x.dtype == BF16
            return torch.empty_like(x)

        class Own(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                found: Tensor = torch.ops.etcoreml_tests.doubled(x + 1)
                return found * 3

        exported = torch.export.export(Own(), (torch.ones(4, dtype=BF16),))
        edge = to_edge_transform_and_lower(exported, partitioner=[CoreMLPartitioner()])
    dtypes = {each.meta["val"].dtype for each in edge.exported_program().graph.nodes if each.users}
    assert BF16 in dtypes
    assert torch.float32 not in dtypes
