"""Placeholders of what a program holds. Oracle: the module that was exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etcoreml.compiler.placeholders import constant_names, held_tensors


class Counting(nn.Module):  # type: ignore[misc] # torch is untyped here
    """A parameter, a buffer that is written to, one that is not, and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("count", torch.zeros(2))
        self.register_buffer("scale", torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1)
        return x * self.weight * self.scale + self.count + torch.tensor([1.0, 2.0])


def test_what_is_held_and_what_stays_as_it_is() -> None:
    program = torch.export.export(Counting(), (torch.ones(2),)).run_decompositions({})
    held = held_tensors(program)
    assert {"weight", "count", "scale"} < set(held.values())
    assert len(held) == 4
    assert {held[each] for each in constant_names(program)} == set(held.values()) - {"count"}
