"""What every test stands on."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's model cache out of the tests, and those out of it, in every process."""
    os.environ["ETCOREML_CACHE_DIR"] = ""
