"""What every test stands on."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's model cache out of the tests, and those out of it, in every process.

    And torch's trace out of their output.
    """
    os.environ["ETCOREML_CACHE_DIR"] = ""
    # Thousands of lines where a test fails; torch itself sets `propagate` again.
    logging.getLogger("torch.__trace").addFilter(lambda record: False)


@pytest.fixture(scope="session")
def linear_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.linear``."""
    from tests import mlmodels  # imports torch, which most tests do not need

    return mlmodels.linear(tmp_path_factory.mktemp("linear") / "linear.mlpackage")


@pytest.fixture(scope="session")
def sum_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.optional_total``."""
    from tests import mlmodels

    return mlmodels.optional_total(tmp_path_factory.mktemp("sum") / "sum.mlpackage")


@pytest.fixture(scope="session")
def counter_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlmodels.counter``."""
    from tests import mlmodels

    return mlmodels.counter(tmp_path_factory.mktemp("counter") / "counter.mlpackage")


@pytest.fixture(scope="session")
def two_functions_package(
    linear_package: Path, sum_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """``mlmodels.two_functions``: ``one`` is the linear layer, ``two`` the sum."""
    from tests import mlmodels

    path = tmp_path_factory.mktemp("two") / "two.mlpackage"
    return mlmodels.two_functions(path, linear_package, sum_package)
