"""Traces for Perfetto. Oracle: the Trace Event Format, as a JSON schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from etcoreml.trace.chrome import Slice, trace_text

SCHEMA = json.loads(Path(__file__).with_name("trace_event.schema.json").read_text())


def check_trace(document: Any) -> None:
    """Check a trace against the schema, and that slices of a track do not cross."""
    jsonschema.validate(document, SCHEMA)
    spans = [row for row in document["traceEvents"] if row["ph"] == "X"]
    for track in {row["tid"] for row in spans}:
        end = 0.0
        for row in sorted((row for row in spans if row["tid"] == track), key=lambda row: row["ts"]):
            assert row["ts"] >= end - 0.002, "slices end to end, in whole nanoseconds"
            end = row["ts"] + row["dur"]


@pytest.mark.parametrize("field", ["ts", "dur", "pid", "tid", "name"])
def test_the_schema_finds_what_is_missing(field: str) -> None:
    document = json.loads(trace_text([Slice("run", 0, 30, "run", {})], "a model"))
    del document["traceEvents"][-1][field]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_complete_events_on_named_tracks() -> None:
    slices = [
        Slice("run", 0, 30, "run", {}),
        Slice("y:conv", 0, 10.1234567, "operations", {"kernel": "brgconv"}),
        Slice("z:relu", 10.1234567, 5, "operations", {}),
    ]
    document = json.loads(trace_text(slices, "a model"))
    check_trace(document)
    rows = document["traceEvents"]
    named = [row for row in rows if row["ph"] == "M"]
    assert [row["args"]["name"] for row in named] == ["a model", "run", "operations"]
    spans = [row for row in rows if row["ph"] == "X"]
    for row in spans:
        assert {"name", "ph", "ts", "dur", "pid", "tid"} <= row.keys()
        assert row["dur"] >= 0
    assert spans[1]["args"] == {"kernel": "brgconv"}
    assert spans[1]["tid"] == spans[2]["tid"] != spans[0]["tid"]
