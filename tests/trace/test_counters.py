"""The time of one run out of counters that are means over all runs.

Oracle: a model of OpenVINO's counter, which sums the times and cuts the mean to microseconds.
"""

from __future__ import annotations

import numpy as np

from etcoreml.engine import NodeTime
from etcoreml.trace import RunTimes


class Counter:
    """OpenVINO's ``PerfCount`` of one kernel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total_us = 0
        self.runs = 0

    def ran(self, microseconds: int) -> NodeTime:
        self.total_us += microseconds
        self.runs += 1
        return NodeTime(self.name, "Add", "ref", self.total_us // self.runs * 1000)


def test_the_first_run_is_exact() -> None:
    (time,) = RunTimes().of_run([Counter("a").ran(123)], 200_000)
    assert time.duration_ns == 123_000


def test_a_slow_run_is_seen() -> None:
    counter, times = Counter("a"), RunTimes()
    taken = [100, 101, 99, 5000, 100]
    found = [times.of_run([counter.ran(t)], t * 1000)[0].duration_ns for t in taken]
    for run, (time, expected) in enumerate(zip(found, taken, strict=True), 1):
        assert abs(time - expected * 1000) <= run * 1000


def test_sums_stay_with_the_counter() -> None:
    rng = np.random.default_rng(0)
    counters, times = [Counter("a"), Counter("b")], RunTimes()
    sums = {"a": 0, "b": 0}
    for _ in range(200):
        taken = rng.integers(50, 150, 2)
        whole = int(taken.sum()) * 1000 + 5000
        means = [each.ran(int(t)) for each, t in zip(counters, taken, strict=True)]
        for time in times.of_run(means, whole):
            sums[time.name] += time.duration_ns
    for counter in counters:
        assert abs(sums[counter.name] / (counter.total_us * 1000) - 1) < 0.02


def test_kernels_are_never_longer_than_the_run() -> None:
    a, b, times = Counter("a"), Counter("b"), RunTimes()
    times.of_run([a.ran(1000), b.ran(1000)], 2_100_000)
    found = times.of_run([a.ran(10), b.ran(10)], 15_000)
    assert sum(each.duration_ns for each in found) <= 15_000


def test_a_kernel_that_rested() -> None:
    a, times = Counter("a"), RunTimes()
    for _ in range(3):
        mean = a.ran(100)
        times.of_run([mean], 110_000)
    (time,) = times.of_run([mean], 110_000)  # its counter stands still
    assert time.duration_ns >= 0
