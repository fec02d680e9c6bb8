"""Events as a trace that Perfetto and Chrome open (Trace Event Format, complete events)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Slice:
    """A span of time on one track.

    Attributes:
        name: What is shown.
        start_us: In microseconds from any origin.
        duration_us: In microseconds.
        track: Name of the track.
        details: Shown when the slice is picked.
    """

    name: str
    start_us: float
    duration_us: float
    track: str
    details: Mapping[str, Any]


def trace_text(slices: Iterable[Slice], title: str) -> str:
    """Return a trace as JSON.

    Args:
        slices: Those of one track must not overlap unless one holds the other.
        title: Name of the process in the trace.
    """
    rows: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": title}}
    ]
    tracks: dict[str, int] = {}
    for each in slices:
        if each.track not in tracks:
            tracks[each.track] = len(tracks) + 1
            rows.append(
                {
                    "name": "thread_name",
                    "ph": "M",
                    "pid": 1,
                    "tid": tracks[each.track],
                    "args": {"name": each.track},
                }
            )
        rows.append(
            {
                "name": each.name,
                "cat": "op",
                "ph": "X",
                "ts": round(each.start_us, 3),
                "dur": round(each.duration_us, 3),
                "pid": 1,
                "tid": tracks[each.track],
                "args": dict(each.details),
            }
        )
    return json.dumps({"traceEvents": rows, "displayTimeUnit": "ms"}) + "\n"
