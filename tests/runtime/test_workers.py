"""Threads that make predictions overlap: order, errors, forks, and ends."""

from __future__ import annotations

import os
import threading
import time

import pytest

from etcoreml.errors import UsageError
from etcoreml.runtime.workers import Line, Workers


def test_results_come_in_order_and_calls_overlap() -> None:
    workers, both = Workers(2, "test"), threading.Barrier(2, timeout=30)

    def meet(i: int) -> int:
        both.wait()  # returns only if another call is under way
        return i * i

    assert workers.map(meet, range(6)) == [0, 1, 4, 9, 16, 25]
    workers.close()


def test_an_error_stops_what_has_not_begun() -> None:
    workers, begun = Workers(1, "test"), []

    def fail(i: int) -> None:
        begun.append(i)
        time.sleep(0.05)
        raise KeyError(i)

    with pytest.raises(KeyError, match="0"):
        workers.map(fail, range(100))
    assert len(begun) < 10
    assert workers.submit(lambda: 3).result() == 3  # usable after that
    workers.close()
    workers.close()


def test_closed_for_good() -> None:
    workers, under_way, gate = Workers(1, "test"), threading.Event(), threading.Event()

    def wait() -> int:
        under_way.set()
        assert gate.wait(30)
        return 1

    future = workers.submit(wait)
    assert under_way.wait(30)
    closing = threading.Thread(target=workers.close)
    closing.start()
    while not workers._closed:
        time.sleep(0.001)
    for call in (lambda: workers.submit(lambda: 2), lambda: workers.map(abs, [1])):
        with pytest.raises(UsageError, match="found a model that was closed"):
            call()
    gate.set()
    closing.join()
    assert future.result() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    workers = Workers(1, "test")
    assert workers.submit(lambda: 1).result() == 1
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = workers.submit(lambda: 0).result(timeout=30)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    workers.close()


def test_a_line_goes_by_when_places_were_taken() -> None:
    workers, line, order = Workers(2, "test"), Line(), []
    gate = threading.Event()

    def first() -> None:
        assert gate.wait(30)
        order.append(0)
        raise KeyError("first")  # whoever fails still makes room

    futures = [line.submit(workers, first)]
    futures += [line.submit(workers, lambda i=i: order.append(i)) for i in range(1, 6)]  # type: ignore[misc]
    assert futures[4].cancel()
    gate.set()
    line.call(lambda: order.append(6))
    assert order == [0, 1, 2, 3, 5, 6]
    with pytest.raises(KeyError, match="first"):
        futures[0].result()
    workers.close()
