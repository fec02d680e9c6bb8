"""Programs to make apps of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.cli import models
from tests.cli.conftest import cli as cli  # a fixture
from tests.lowering import lower


@pytest.fixture(scope="session")
def picture_pte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``models.net``: a picture of 8 x 8 to three scores, all of it in Core ML."""
    path = tmp_path_factory.mktemp("picture") / "tiny net.pte"
    path.write_bytes(lower(*models.net()))
    return path


@pytest.fixture(scope="session")
def generic_pte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``models.acosh``: (2, 3) to fp32 and int32, with an operator outside of Core ML."""
    path = tmp_path_factory.mktemp("generic") / "acosh.pte"
    path.write_bytes(lower(*models.acosh()))
    return path


@pytest.fixture(scope="session")
def dynamic_pte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``models.dynamic``: a batch of one to eight."""
    module, inputs, sizes = models.dynamic()
    path = tmp_path_factory.mktemp("dynamic") / "dynamic.pte"
    path.write_bytes(lower(module, inputs, dynamic_shapes=sizes))
    return path


class Several(torch.nn.Module):
    """Inputs and outputs of several dtypes, with names that Swift and Objective-C reserve."""

    def forward(
        self, input_ids: torch.Tensor, default: torch.Tensor, new_state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return input_ids + 1, default.float() * new_state


@pytest.fixture(scope="session")
def several_pte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``Several``, as two methods."""
    inputs = (torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.int32), torch.ones(2))
    path = tmp_path_factory.mktemp("several") / "several.pte"
    module = Several()
    path.write_bytes(
        lower(
            {"forward": module, "decode_step": module}, {"forward": inputs, "decode_step": inputs}
        )
    )
    return path
