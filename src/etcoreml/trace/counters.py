"""OpenVINO's counters, which are means over all runs so far, to the times of one run.

OpenVINO 2026.4 keeps the sum of a kernel's times and tells their mean, cut to microseconds. After
the n-th run the sum is known to n microseconds, hence the time of the run as well. Within those
bounds a kernel gets its mean, longer or shorter as the whole run was: the first run is exact, and
of many runs each is near the mean, to which they add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from etcoreml.engine import NodeTime

_UNIT_NS = 1000


class RunTimes:
    """Follows the counters of one compiled function, which nothing else runs."""

    def __init__(self) -> None:
        self._runs = 0
        self._whole_ns = 0
        self._bounds: dict[str, tuple[int, int]] = {}

    def of_run(self, means: Iterable[NodeTime], whole_ns: int) -> list[NodeTime]:
        """Return the times of the run that has just ended.

        Args:
            means: What the counters say after it.
            whole_ns: How long the run took, in nanoseconds; no sum of kernels is longer.
        """
        self._runs += 1
        self._whole_ns += whole_ns
        pace = whole_ns * self._runs / self._whole_ns if self._whole_ns else 1.0
        times = [replace(mean, duration_ns=self._time(mean, pace)) for mean in means]
        total = sum(time.duration_ns for time in times)
        if total <= whole_ns:
            return times
        return [replace(each, duration_ns=each.duration_ns * whole_ns // total) for each in times]

    def _time(self, mean: NodeTime, pace: float) -> int:
        low = self._runs * mean.duration_ns
        high = low + (self._runs - 1) * _UNIT_NS
        before_low, before_high = self._bounds.get(mean.name, (0, 0))
        likely = mean.duration_ns * pace
        least, most = max(low - before_high, 0), high - before_low
        if least > most:  # it does not take part in every run
            self._bounds[mean.name] = (low, high)
            return round(likely)
        time = round(min(max(likely, least), most))
        self._bounds[mean.name] = (max(low, before_low), high)
        return time
