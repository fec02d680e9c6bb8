"""Programs that several runtime tests load; each is lowered once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.lowering import lower
from tests.runtime import mlmodels


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


@pytest.fixture(scope="session")
def linear_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.linear``."""
    return mlmodels.linear(tmp_path_factory.mktemp("linear") / "linear.mlpackage")


@pytest.fixture(scope="session")
def counter_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.counter``."""
    return mlmodels.counter(tmp_path_factory.mktemp("counter") / "counter.mlpackage")


@pytest.fixture(scope="session")
def two_functions_package(
    linear_package: Path, sum_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """``mlmodels.two_functions``: ``one`` is the linear layer, ``two`` the sum."""
    path = tmp_path_factory.mktemp("two") / "two.mlpackage"
    return mlmodels.two_functions(path, linear_package, sum_package)


@pytest.fixture(scope="session")
def sum_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.total``: ``x`` int32, and ``y`` fp32, which is 0.5 if it is left out."""
    return mlmodels.optional_total(tmp_path_factory.mktemp("sum") / "sum.mlpackage")
