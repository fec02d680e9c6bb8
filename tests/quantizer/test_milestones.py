"""Milestones of training. Oracle: coremltools' description of the four numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig
from tests.quantizer.pt2e import prepare_qat_pt2e


def states(milestones: list[int], steps: int) -> list[tuple[int, int, bool]]:
    """Train as the page says; return what is on and whether statistics are frozen, call by call."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).train()
    inputs = (torch.randn(2, 3, 4, 4),)
    config = LinearQuantizerConfig.from_dict({"global_config": {"milestones": milestones}})
    quantizer = CoreMLQuantizer(config)
    ready = prepare_qat_pt2e(torch.export.export(network, inputs).module(), quantizer)
    fake = next(each for each in ready.modules() if hasattr(each, "observer_enabled"))
    seen = []
    for _ in range(steps):
        ready(*inputs)
        frozen = [n.args[5] for n in ready.graph.nodes if "batch_norm" in str(n.target)] == [False]
        seen.append((int(fake.observer_enabled), int(fake.fake_quant_enabled), frozen))
        quantizer.step(ready)
    return seen


def test_steps() -> None:
    expected = [(0, 0, False), (1, 0, False), (1, 1, False), (1, 1, True), (0, 1, True)]
    assert states([0, 1, 3, 2], 5) == expected


@pytest.mark.parametrize(
    ("milestones", "last"),
    [([0, 1, -1, 2], (1, 1, True)), ([0, 1, 2, -1], (0, 1, False)), ([-1] * 4, (0, 0, False))],
)
def test_a_milestone_that_never_comes(milestones: list[int], last: tuple[int, int, bool]) -> None:
    assert states(milestones, 5)[-1] == last


def test_without_milestones_nothing_changes() -> None:
    quantizer = CoreMLQuantizer()
    inputs = (torch.randn(1, 4),)
    exported = torch.export.export(nn.Sequential(nn.Linear(4, 4)).train(), inputs).module()
    ready = prepare_qat_pt2e(exported, quantizer)
    quantizer.step(ready)
    fakes = [each for each in ready.modules() if hasattr(each, "observer_enabled")]
    assert fakes
    assert all(int(each.observer_enabled) and int(each.fake_quant_enabled) for each in fakes)
