"""Rewrites before conversion."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from etcoreml.compiler.rewrites import exchange_as_float32, fill_defaults, store_as_int32
from tests.call import Call


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) + torch.sum(x)


def test_only_counted_ops_get_their_defaults() -> None:
    program = torch.export.export(Pool(), (torch.randn(1, 2, 4, 4),))
    fill_defaults(program)
    arguments = {
        str(node.target): node.args[1:]
        for node in program.graph.nodes
        if node.op == "call_function"
    }
    assert arguments["aten.max_pool2d.default"] == ([2, 2], [], [0, 0], [1, 1], False)
    assert arguments["aten.sum.default"] == ()
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(program.module()(x), Pool()(x))


def _graph(program: torch.export.ExportedProgram) -> list[str]:
    """Return the dtypes of inputs, and each call with the dtype it asks for."""
    return [
        f"{node.target if node.op == 'call_function' else node.op} "
        f"{node.kwargs.get('dtype', node.meta['val'].dtype)}"
        for node in program.graph.nodes
        if "val" in node.meta
    ]


def test_bytes_are_taken_and_given_as_int32() -> None:
    program = torch.export.export(
        Call(lambda x: (x.float() / 255).to(torch.uint8)), (torch.ones(2, dtype=torch.uint8),)
    ).run_decompositions({})
    store_as_int32(program)
    assert _graph(program) == [
        "placeholder torch.int32",
        "aten._to_copy.default torch.float32",
        "aten.div.Tensor torch.float32",
        "aten._to_copy.default torch.int32",
    ]


def test_halves_are_exchanged_as_floats() -> None:
    program = torch.export.export(
        Call(lambda x: (x * 2, x + 1)), (torch.ones(2, dtype=torch.float16),)
    ).run_decompositions({})
    outputs = [each.arg.name for each in program.graph_signature.output_specs]
    exchange_as_float32(program)
    program.graph.lint()
    assert _graph(program) == [
        "placeholder torch.float32",
        "aten._to_copy.default torch.float16",
        "aten.mul.Tensor torch.float16",
        "aten.add.Tensor torch.float16",
        "aten._to_copy.default torch.float32",
        "aten._to_copy.default torch.float32",
    ]
    assert [each.name for each in program.graph.output_node().args[0]] == outputs
