"""What this machine could do at best, and how near an operation came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_SIZE = 1024
_NBYTES = 1 << 28
_TRIES = 6


@dataclass(frozen=True)
class Roofline:
    """Measured limits, of all cores.

    Attributes:
        gflops: Of a product of f32 matrices, in 1e9 operations per second.
        gb_per_s: Reading memory, in 1e9 bytes per second.
    """

    gflops: float
    gb_per_s: float

    def share(self, flops: int, nbytes: int, seconds: float) -> float:
        """Return the shortest time that the limits allow, as a share of the time taken.

        Args:
            flops: Of the operation.
            nbytes: That it moves. What stays in a cache moves faster: the share may exceed 1.
            seconds: That it took.
        """
        least = max(flops / (self.gflops * 1e9), nbytes / (self.gb_per_s * 1e9))
        return least / seconds if seconds else 0.0


def measure() -> Roofline:
    """Measure the limits, which takes about a second."""
    a = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32)
    out = np.empty_like(a)
    big = np.ones(_NBYTES // 4, np.float32)
    return Roofline(
        gflops=2 * _SIZE**3 / best_s(lambda: np.matmul(a, a, out=out), _TRIES) / 1e9,
        gb_per_s=_NBYTES / best_s(lambda: float(big.sum()), _TRIES) / 1e9,
    )


def best_s(call: Callable[[], object], tries: int) -> float:
    """Return the seconds of the fastest of several calls."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
