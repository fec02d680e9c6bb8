"""Kernels and devices. Oracles: the engine itself; versions made up."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from etcoreml.deploy.doctor import Status, engine
from etcoreml.engine.fork import core
from etcoreml.engine.kernels import instruction_set


def test_here() -> None:
    devices, kernels = engine.check_engine()
    assert devices.status is Status.OK
    assert all(name in devices.found for name in core().available_devices)
    assert (kernels.status is Status.OK) is (instruction_set() is not None)
    assert not kernels.needed


@pytest.mark.parametrize(
    ("instruction_set", "built", "expected", "words"),
    [
        ("avx2", "2026.4.1", Status.OK, "avx2; built for OpenVINO 2026.4.1"),
        (None, None, Status.MISSING, "not built"),
        (None, "2026.1.0", Status.MISMATCH, "built for OpenVINO 2026.1.0"),
        (None, "2026.4.1", Status.MISSING, "neither AVX2 nor AVX-512"),
    ],
)
def test_kernels(
    instruction_set: str | None, built: str | None, expected: Status, words: str
) -> None:
    check = engine.check_kernels(instruction_set, built, "2026.4.1")
    assert check.status is expected
    assert words in check.found


def test_a_probe_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    (check,) = engine.check_engine()
    assert check.status is Status.BROKEN
    assert "cannot be loaded" in check.found


def test_no_cpu_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_ask", lambda: {"devices": {"GPU": "a GPU"}, "kernels": None})
    (check,) = engine.check_engine()
    assert (check.status, check.found) == (Status.MISSING, "devices: GPU (a GPU)")
    assert check.fails
