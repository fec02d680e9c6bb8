"""OpenVINO's counters, which are means over all runs so far, to the times of one run.

OpenVINO 2026.4 keeps the sum of a kernel's times and tells their mean, cut to microseconds. After
the n-th run the sum is known to n microseconds, hence the time of the run as well. Within those
bounds a kernel gets its mean, longer or shorter as the whole run was: the first run is exact, and
of many runs each is near the mean, to which they add up.
"""

from __future__ import annotations

from collections.abc import Iterable

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
        slack = (self._runs - 1) * _UNIT_NS
        bounds = self._bounds
        times = []
        total = 0
        for name, kind, kernel, mean in means:
            low = self._runs * mean
            high = low + slack
            before_low, before_high = bounds.get(name, (0, 0))
            least, most = max(low - before_high, 0), high - before_low
            time = round(mean * pace)
            if least <= most:  # else it does not take part in every run
                time = min(max(time, least), most)
                low = max(low, before_low)
            bounds[name] = (low, high)
            total += time
            times.append(NodeTime(name, kind, kernel, time))
        if total <= whole_ns:
            return times
        return [
            NodeTime(name, kind, kernel, time * whole_ns // total)
            for name, kind, kernel, time in times
        ]
