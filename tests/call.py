"""A function as a module: what torch.export takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class Call(nn.Module):
    """Calls a function of its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)
