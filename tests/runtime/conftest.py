"""Programs that several runtime tests load; each is lowered once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.lowering import lower


class Affine(nn.Module):
    """``2 x + 1``: small enough that every number can be checked by eye."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x + 1


@pytest.fixture(scope="session")
def affine_pte() -> bytes:
    """``2 x + 1`` on ``(2, 3)`` fp32."""
    return lower(Affine(), (torch.zeros(2, 3),))


@pytest.fixture(scope="session")
def convolution_pte() -> bytes:
    """A convolution large enough to use every thread: ``(1, 8, 64, 64)`` fp32."""
    torch.manual_seed(0)
    return lower(nn.Conv2d(8, 32, 3), (torch.zeros(1, 8, 64, 64),))


@pytest.fixture
def affine_path(affine_pte: bytes, tmp_path: Path) -> Path:
    """The affine program as a file."""
    path = tmp_path / "affine.pte"
    path.write_bytes(affine_pte)
    return path
