"""Quantisation-aware training with batch norms, to a lowered network.

Oracle: the converted module in eager.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.lowering import lower, snr_db, specs
from tests.quantizer.pt2e import calls, convert_pt2e, prepared

with quiet_imports():
    from torchao.quantization.pt2e import move_exported_model_to_eval

PICTURES = torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Blocks(nn.Module):
    """A convolution with and one without bias, each with a batch norm and an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_batch_norms_are_folded_and_lowered(precision: str) -> None:
    torch.manual_seed(0)
    ready: Any = prepared(Blocks().train(), (PICTURES,), {}, qat=True)
    optimizer = torch.optim.SGD(ready.parameters(), 0.05)
    labels = torch.arange(8) % 4
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(ready(PICTURES), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    move_exported_model_to_eval(ready)
    converted = convert_pt2e(ready)
    assert not [name for name in calls(converted) if "batch_norm" in name]
    target = coremltools().target.iOS17
    partitioner = CoreMLPartitioner(
        compile_specs=specs(precision, minimum_deployment_target=target), lower_full_graph=True
    )
    program = lower(converted, (PICTURES,), partitioner=partitioner)
    (found,) = etcoreml.load(program).forward(PICTURES)
    with torch.no_grad():
        expected = converted(PICTURES)
    assert snr_db(found, expected) > 35
