"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etcoreml.engine import kernels


@pytest.fixture(params=["avx512_vnni", "avx512", "avx2"])
def any_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run with each instruction set, on matrices of any size."""
    best = kernels.instruction_set()
    assert best is not None
    if not kernels.use(request.param):
        pytest.skip(f"this CPU has no {request.param}")
    monkeypatch.setattr(kernels, "_SMALLEST", 0)
    yield request.param
    assert kernels.use(best)
