"""Reports of devices. Oracle: the simulated report, and every way to damage it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etcoreml.deploy.app.templates import filled
from etcoreml.deploy.check.report import read_device_report
from etcoreml.errors import DeviceReportError, UsageError
from tests.deploy.check.reports import simulated


def stored(folder: Path, document: object) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps(document))
    return path


def test_reads(tmp_path: Path) -> None:
    report = read_device_report(stored(tmp_path, simulated("ab" * 32)))
    assert report.simulated
    assert (report.device, report.system) == ("Simulated1,1", "iOS 18.0.0")
    first, second, failed, last = report.units
    assert first.worst_snr_db == math.inf
    assert (second.load_cold_ms, second.median_ms, second.p95_ms) == (210.5, 1.5, 1.75)
    assert second.memory_bytes == 2000000
    assert failed.error == "no Neural Engine"
    assert failed.worst_snr_db == -math.inf
    assert last.worst_snr_db == 48.25
    assert report.worst_snr_db == -math.inf
    assert report.here[0].snr_db == 63.0


def test_nan_is_none_of_the_signal(tmp_path: Path) -> None:
    document = simulated("ab" * 32)
    document["units"] = document["units"][:1]
    document["units"][0]["distances"][0]["snr_db"] = "nan"
    assert read_device_report(stored(tmp_path, document)).worst_snr_db == -math.inf


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return change


DAMAGES = {
    "'format' of the report; found 'x'": _set("format", to="x"),
    "'version' of the report; found 2": _set("version", to=2),
    "'simulated' of the report; found 0": _set("simulated", to=0),
    "'model' of the report is no object": _set("model", to=[]),
    "'sha256' of 'model' of the report": _set("model", "sha256", to=None),
    "'units' of the report; found {}": _set("units", to={}),
    "'units' of the report; found []": _set("units", to=[]),
    "'compute_unit' of 'units' 0": _set("units", 0, "compute_unit", to="tpu"),
    "each compute unit once": _set("units", 0, "compute_unit", to="all"),
    "'distances' of 'units' 0": _set("units", 0, "distances", to=[]),
    "'snr_db' of 'distances' 1 of 'units' 0": _set("units", 0, "distances", 1, "snr_db", to="big"),
    "'output' of 'distances' 0": _set("units", 0, "distances", 0, "output", to=-1),
    "'median_ms' of 'latency'": _set("units", 1, "latency", "median_ms", to=-1),
    "'p95_ms' of 'latency'": _set("units", 1, "latency", "p95_ms", to="inf"),
    "'count' of 'latency'": _set("units", 1, "latency", "count", to=True),
    "'cold_ms' of 'load'": _set("units", 1, "load", to={}),
    "'peak_bytes' of 'memory'": _set("units", 1, "memory", "peak_bytes", to=1.5),
    "'error' of 'units' 2": _set("units", 2, "error", to=3),
    # JSON has integers that are too large for a float.
    "a number that a float can hold": _set("units", 0, "distances", 0, "max_abs", to=10**400),
    "an integer of 64 bits": _set("units", 1, "memory", "before_bytes", to=-(10**400)),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged(tmp_path: Path, message: str) -> None:
    document = simulated("ab" * 32)
    DAMAGES[message](document)
    with pytest.raises(DeviceReportError, match=re.escape(message)):
        read_device_report(stored(tmp_path, document))


@pytest.mark.parametrize("text", ["", "{", "[" * 100000, "\x00", "[]", "3"])
def test_not_a_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(DeviceReportError, match=r"report\.json"):
        read_device_report(path)


def test_cut_short(tmp_path: Path) -> None:
    path = stored(tmp_path, simulated("ab" * 32))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DeviceReportError, match="is not JSON"):
        read_device_report(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_device_report(tmp_path / "missing.json")


def test_swift_writes_the_fields_that_are_read() -> None:
    """Oracle: the properties in Report.swift, in snake case as its encoder writes them."""
    text = filled("check/Report.swift", {})
    properties = re.findall(r"^\s+(?:let|var) (\w+)(?::| =)", text, re.MULTILINE)
    written = {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", each).lower() for each in properties}
    written |= {"name"}  # of HereDistance

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        if isinstance(value, list):
            return set().union(*map(keys, value))
        return set()

    assert keys(simulated("ab" * 32)) <= written
