"""Threads that make predictions overlap.

Two predictions on one model share its cores, but one can convert its inputs and outputs while the
other computes; with several streams they compute side by side.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from etcoreml.errors import UsageError

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A model's pool of threads, which starts when it is first used, anew in a forked child.

    Args:
        count: Threads.
        name: Prefix of their names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._owner = 0
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, function: Callable[[], R]) -> Future[R]:
        """Call ``function`` on one of the threads.

        Raises:
            UsageError: They were closed.
        """
        with self._lock:
            return self._started().submit(function)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Call ``function`` with each item; after an error, no further calls are begun.

        Raises:
            UsageError: The threads were closed.
        """
        futures: list[Future[R]] = []
        try:
            futures += (self.submit(functools.partial(function, item)) for item in items)
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            wait(futures)
            raise

    def close(self) -> None:
        """Wait for what is under way, and end the threads; nothing is begun after that."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None and self._owner == os.getpid():
            pool.shutdown()

    def _started(self) -> ThreadPoolExecutor:
        if self._closed:
            raise UsageError("the model makes no predictions", found="a model that was closed")
        if self._pool is None or self._owner != os.getpid():
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
            self._owner = os.getpid()
        return self._pool


class Line:
    """Calls that take turns, first come, first served, on whatever threads they are made."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._places: deque[object] = deque()

    def call(self, function: Callable[[], R]) -> R:
        """Call ``function`` after all who came before."""
        with self._turn(self._join()):
            return function()

    def submit(self, workers: Workers, function: Callable[[], R]) -> Future[R]:
        """Do so on one of the workers' threads; the place is taken now."""

        def run() -> R:
            with self._turn(place):
                return function()

        # Places and threads are given in one order: else all threads might wait for their turns
        # while the call whose turn it is waits for a thread.
        with self._changed:
            place = self._join()
            try:
                future = workers.submit(run)
            except BaseException:
                self._leave(place)
                raise
        future.add_done_callback(lambda _: self._leave(place))  # a cancelled one does not run
        return future

    def _join(self) -> object:
        place = object()
        with self._changed:
            self._places.append(place)
        return place

    def _leave(self, place: object) -> None:
        with self._changed, contextlib.suppress(ValueError):  # it was left already
            self._places.remove(place)
            self._changed.notify_all()

    @contextlib.contextmanager
    def _turn(self, place: object) -> Iterator[None]:
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._places[0] is place)
            yield
        finally:
            self._leave(place)
