"""Rewrites before conversion."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from etcoreml.compiler.rewrites import fill_defaults


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
