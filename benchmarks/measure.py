"""Interleaved timing of several callables, and the machine it was done on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

_SETTLE_S = 0.01
"""OpenMP's threads wait for more work in a busy loop, for some milliseconds: measured, a network
run right after torch eager took 3 ms longer than the same network run next."""


def interleaved(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, batch: int
) -> dict[str, dict[str, float]]:
    """Time each callable in turn, ``rounds`` times, so that noise falls on all alike.

    Args:
        calls: What to time, by name.
        rounds: Batches per callable.
        batch: Calls per batch.

    Returns:
        For each name, seconds per call: ``median``, ``min`` and the quartiles over batches.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(batch):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(_SETTLE_S)
            start = time.perf_counter()
            for _ in range(batch):
                call()
            times[name].append((time.perf_counter() - start) / batch)
    return {name: _summary(values) for name, values in times.items()}


def _summary(values: list[float]) -> dict[str, float]:
    first, median, third = statistics.quantiles(values, n=4)
    return {"median": median, "first_quartile": first, "third_quartile": third, "min": min(values)}


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, cores, versions."""
    packages = ("torch", "executorch", "openvino", "coremltools", "numpy", "etcoreml")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a real file
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
