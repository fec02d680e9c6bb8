"""What this machine could do at best, and how near an operation came."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

_SIZE = 64
_MATRICES = 256
_NBYTES = 1 << 28
_TRIES = 6
_SECONDS = 0.5


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
            flops: Of the operation. Integers and bf16 compute faster than f32: the share may
                exceed 1.
            nbytes: That it moves. What stays in a cache moves faster: likewise.
            seconds: That it took.
        """
        least = max(self._compute_s(flops), self._memory_s(nbytes))
        return least / seconds if seconds else 0.0

    def beaten(self, flops: int, nbytes: int, seconds: float) -> frozenset[str]:
        """Return the limits that it was faster than: ``memory``, ``compute``, both or none."""
        least = {"compute": self._compute_s(flops), "memory": self._memory_s(nbytes)}
        return frozenset(name for name, limit in least.items() if limit > seconds > 0)

    def _compute_s(self, flops: int) -> float:
        return flops / (self.gflops * 1e9)

    def _memory_s(self, nbytes: int) -> float:
        return nbytes / (self.gb_per_s * 1e9)


def measure() -> Roofline:
    """Measure the limits, which takes about a second."""
    return Roofline(multiply_gflops(), read_gb_per_s())


def multiply_gflops() -> float:
    """Measure how fast all cores together multiply f32 matrices, in 1e9 operations per second.

    The matrices are too small for the threads of NumPy's BLAS, which wait for each other: where
    other processes run, they take several times as long as one thread alone.
    """
    shape = (_MATRICES, _SIZE, _SIZE)
    a = np.random.default_rng(0).standard_normal(shape, np.float32)
    outs = [np.empty_like(a) for _ in range(available_cores())]
    flops = 2 * _MATRICES * _SIZE**3 * len(outs)
    return flops / together_s(lambda out: np.matmul(a, a, out=out), outs) / 1e9


def read_gb_per_s() -> float:
    """Measure how fast all cores together read memory, in 1e9 bytes per second.

    One core alone does not reach the limit, nor does a sum of floats, which waits for each
    addition: each core ORs integers, of its part of more than the caches have room for.
    """
    parts = np.array_split(np.ones(_NBYTES // 8, np.int64), available_cores())
    return _NBYTES / together_s(np.bitwise_or.reduce, parts) / 1e9


def together_s(call: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Return the best seconds of calls with each of several arguments, in a thread for each."""
    with ThreadPoolExecutor(len(arguments)) as pool:
        return best_s(lambda: list(pool.map(call, arguments)), _TRIES, _SECONDS)


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def best_s(call: Callable[[], object], tries: int, seconds: float = 0.0) -> float:
    """Return the seconds of the fastest of several calls.

    Args:
        call: What is timed.
        tries: Calls to make at least.
        seconds: Time to go on for at least, so that other processes leave some calls alone.
    """
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < tries or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
