"""Traces for Perfetto. Oracle: the Trace Event Format's rules for complete events."""

from __future__ import annotations

import json

from etcoreml.trace.chrome import Slice, trace_text


def test_complete_events_on_named_tracks() -> None:
    slices = [
        Slice("run", 0, 30, "run", {}),
        Slice("y:conv", 0, 10.1234567, "operations", {"kernel": "brgconv"}),
        Slice("z:relu", 10.1234567, 5, "operations", {}),
    ]
    document = json.loads(trace_text(slices, "a model"))
    rows = document["traceEvents"]
    named = [row for row in rows if row["ph"] == "M"]
    assert [row["args"]["name"] for row in named] == ["a model", "run", "operations"]
    spans = [row for row in rows if row["ph"] == "X"]
    for row in spans:
        assert {"name", "ph", "ts", "dur", "pid", "tid"} <= row.keys()
        assert row["dur"] >= 0
    assert spans[1]["args"] == {"kernel": "brgconv"}
    assert spans[1]["tid"] == spans[2]["tid"] != spans[0]["tid"]
