"""Two methods that share a weight, as a prefill and a decode step do."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Step(nn.Module):
    def __init__(self, shared: nn.Linear, scale: float) -> None:
        super().__init__()
        self.shared, self.scale = shared, scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shared(x)) * self.scale


def two_methods() -> tuple[dict[str, nn.Module], dict[str, tuple[Tensor, ...]]]:
    """Return the modules and their inputs by method name; always the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        shared = nn.Linear(64, 64)
        modules = {"prefill": _Step(shared, 2.0).eval(), "decode": _Step(shared, -3.0).eval()}
        return modules, {"prefill": (torch.randn(7, 64),), "decode": (torch.randn(1, 64),)}
