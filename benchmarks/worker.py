"""One contestant on one workload, in a process of its own.

``python -m benchmarks.worker FOLDER RUNTIME THREADS CACHE`` loads, prints a line of JSON about
that, and then answers each line ``SECONDS`` on its input with a line of JSON: seconds per call,
measured one after the other for that long. The parent asks the contestants in turn, so that noise
falls on all.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runtimes import RUNTIMES, Loaded

# Calls faster than this are timed several at once.
_RESOLUTION_S = 2e-4


def resident_nbytes() -> int:
    """Return the memory this process has resident, mapped files included."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - not a real file
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def snr_db(outputs: list[Any], expected: list[Any]) -> float:
    """Return the worst signal-to-noise ratio of the outputs, in dB; infinite if all are equal."""
    worst = math.inf
    for found, truth in zip(outputs, expected, strict=True):
        signal = np.square(truth, dtype=np.float64).sum()
        noise = np.square(np.subtract(found, truth, dtype=np.float64)).sum()
        if not np.isfinite(noise):
            return -math.inf
        if noise:
            worst = min(worst, 10 * math.log10(signal / noise) if signal else -math.inf)
    return worst


def _measure(loaded: Loaded, seconds: float) -> list[float]:
    """Time calls; the first one, which finds the caches full of others' data, is left out."""
    start = time.perf_counter()
    loaded.call()
    inner = max(1, math.ceil(_RESOLUTION_S / max(1e-7, time.perf_counter() - start)))
    times = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(inner):
            loaded.call()
        times.append((time.perf_counter() - start) / inner)
    return times


def main(folder: Path, name: str, threads: int, cache: Path | None) -> None:
    """Load, report, serve."""
    runtime = RUNTIMES[name]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    runtime.start(threads)
    before = resident_nbytes()
    start = time.perf_counter()
    loaded = runtime.load(folder, threads, cache)
    load_s = time.perf_counter() - start
    loaded.call()
    with np.load(folder / "expected.npz") as arrays:
        expected = [arrays[each] for each in arrays.files]
    about = {
        "load_s": load_s,
        "rss_nbytes": resident_nbytes(),
        "rss_before_nbytes": before,
        "snr_db": snr_db(list(loaded.outputs()), expected),
    }
    print(json.dumps(about), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(_measure(loaded, float(line))), file=replies, flush=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4] else None
    )
