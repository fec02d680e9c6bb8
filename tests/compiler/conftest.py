"""Partitions as ExecuTorch hands them to the backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.blob import Directory, read_blob
from etcoreml.partition import CoreMLPartitioner
from tests.lowering import to_edge_transform_and_lower

Lower = Callable[..., list[Directory]]


@pytest.fixture
def affine() -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A small network with weights large enough for weight.bin."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval(), (torch.randn(3, 8),)


@pytest.fixture
def lower() -> Lower:
    """Lower a module and return the trees of its delegates, in graph order."""

    def lowered(
        module: nn.Module, inputs: tuple[Tensor, ...], *, dynamic_shapes: Any = None, **options: Any
    ) -> list[Directory]:
        program = torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic_shapes)
        partitioner = CoreMLPartitioner(**options)
        edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
        graph = edge.exported_program().graph_module
        return [
            read_blob(each.processed_bytes)
            for name, each in graph.named_children()
            if name.startswith("lowered_module")
        ]

    return lowered
