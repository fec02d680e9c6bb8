"""Calling something a number of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def timed(call: Callable[[], R], warmup: int, iterations: int) -> tuple[R, list[float]]:
    """Return the last result, and how long each call took in milliseconds.

    Args:
        call: What to call.
        warmup: Calls before those that are timed.
        iterations: Calls that are timed, at least one.
    """
    for _ in range(warmup):
        call()
    times_ms = []
    for _ in range(iterations):
        start = time.perf_counter()
        result = call()
        times_ms.append((time.perf_counter() - start) * 1e3)
    return result, times_ms
