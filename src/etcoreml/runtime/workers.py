"""Threads that make predictions overlap.

Two predictions on one model share its cores, but one can convert its inputs and outputs while the
other computes; with several streams they compute side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A pool of threads that starts when it is first used, anew in a forked child.

    Args:
        count: Threads.
        name: Prefix of their names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._owner = 0

    def submit(self, function: Callable[[], R]) -> Future[R]:
        """Call ``function`` on one of the threads."""
        return self._started().submit(function)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Call ``function`` with each item; after an error, no further calls are begun."""
        pool = self._started()
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            wait(futures)
            raise

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        if self._pool is not None and self._owner == os.getpid():
            self._pool.shutdown()
        self._pool = None

    def _started(self) -> ThreadPoolExecutor:
        if self._pool is None or self._owner != os.getpid():
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
            self._owner = os.getpid()
        return self._pool
