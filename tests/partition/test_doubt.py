"""Which nodes are tried alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etcoreml.compiler.names import op_name
from etcoreml.partition.doubt import is_doubtful


class _Rows(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return ids.unsqueeze(0).expand(2, ids.shape[0]) + 1


def test_a_size_is_not_tried_whatever_it_is_the_size_of() -> None:
    """Alone, it would be a program without a tensor as its result."""
    program = torch.export.export(
        _Rows(), (torch.arange(4, dtype=torch.int32),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    doubts = {op_name(node): is_doubtful(node) for node in program.graph.nodes if node.args}
    assert doubts["aten.sym_size.int"] is False
    assert doubts["aten.add.Tensor"] is True
