"""Milestones of training. Oracle: coremltools' description of the four numbers."""

from __future__ import annotations

import torch
from torch import nn

from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig
from tests.quantizer.pt2e import prepare_qat_pt2e


def test_steps() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).train()
    inputs = (torch.randn(2, 3, 4, 4),)
    config = LinearQuantizerConfig.from_dict({"global_config": {"milestones": [0, 1, 3, 2]}})
    quantizer = CoreMLQuantizer(config)
    ready = prepare_qat_pt2e(torch.export.export(network, inputs).module(), quantizer)
    fake = next(each for each in ready.modules() if hasattr(each, "observer_enabled"))
    seen = []
    for _ in range(4):
        quantizer.step(ready)
        ready(*inputs)
        frozen = [n.args[5] for n in ready.graph.nodes if "batch_norm" in str(n.target)] == [False]
        seen.append((int(fake.observer_enabled), int(fake.fake_quant_enabled), frozen))
    assert seen == [(1, 0, False), (1, 1, False), (1, 1, True), (0, 1, True)]


def test_without_milestones_nothing_changes() -> None:
    quantizer = CoreMLQuantizer()
    inputs = (torch.randn(1, 4),)
    exported = torch.export.export(nn.Sequential(nn.Linear(4, 4)).train(), inputs).module()
    ready = prepare_qat_pt2e(exported, quantizer)
    quantizer.step(ready)
    fakes = [each for each in ready.modules() if hasattr(each, "observer_enabled")]
    assert fakes
    assert all(int(each.observer_enabled) and int(each.fake_quant_enabled) for each in fakes)
