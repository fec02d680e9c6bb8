"""The report that a check on a device wrote.

Enters: JSON, of which nothing is believed. Leaves: `DeviceReport`. Its writer is the generated
``Report.swift``; docs/deployment.md has the fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from etcoreml.errors import DeviceReportError, UsageError

FORMAT = "etcoreml-device-report"
VERSION = 1
UNITS = ("cpu_only", "cpu_and_gpu", "cpu_and_ne", "all")
_NUMBERS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_MISSING = object()
_MOST = 2**63 - 1


@dataclass(frozen=True)
class OutputDistance:
    """How far an output is from a reference, see ``trace.metrics.Distance``.

    Attributes:
        name: What computed the output: a compute unit, or a way of computing it here.
        reference: What it is compared with.
        output: Its position.
        snr_db: Signal-to-noise ratio in dB.
        max_abs: The largest absolute difference.
    """

    name: str
    reference: str
    output: int
    snr_db: float
    max_abs: float


@dataclass(frozen=True)
class UnitReport:
    """What one compute unit did.

    Attributes:
        compute_unit: Its name.
        error: What went wrong, or None.
        load_cold_ms: The first load, in milliseconds, in which Core ML compiles; None if unknown.
        load_warm_ms: The second.
        median_ms: Of the latency, in milliseconds.
        p95_ms: Of it, below which are 95 of 100 runs.
        runs: How many were timed.
        memory_bytes: The most that the process had more than before loading.
        distances: One for each output and reference.
        etdump: Name of the ETDump's file, or None.
    """

    compute_unit: str
    error: str | None
    load_cold_ms: float | None
    load_warm_ms: float | None
    median_ms: float | None
    p95_ms: float | None
    runs: int
    memory_bytes: int | None
    distances: tuple[OutputDistance, ...]
    etdump: str | None

    @property
    def worst_snr_db(self) -> float:
        """The least signal-to-noise ratio in dB; negative infinity if the unit failed."""
        if self.error is not None:
            return -math.inf
        return worst(self.distances)


def worst(distances: Sequence[OutputDistance]) -> float:
    """Return the least signal-to-noise ratio in dB; NaN counts as none of the signal."""
    found = [-math.inf if math.isnan(each.snr_db) else each.snr_db for each in distances]
    return min(found, default=math.inf)


@dataclass(frozen=True)
class DeviceReport:
    """A report.

    Attributes:
        simulated: Whether it was made without a device, for tests.
        sha256: Of the .pte.
        method: What was run.
        executorch: Version that made the reference.
        device: Name of the hardware.
        system: Name and version of the system.
        here: Distances between the references, measured where they were made.
        units: One for each compute unit.
    """

    simulated: bool
    sha256: str
    method: str
    executorch: str
    device: str
    system: str
    here: tuple[OutputDistance, ...]
    units: tuple[UnitReport, ...]

    @property
    def worst_snr_db(self) -> float:
        """The least signal-to-noise ratio in dB of any unit."""
        return min(each.worst_snr_db for each in self.units)


def read_device_report(path: Path) -> DeviceReport:
    """Read a report.

    Raises:
        UsageError: The file cannot be read.
        DeviceReportError: It is not a report of the documented shape.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DeviceReportError(f"'{path}' is not JSON", found=error) from error
    report = _Entry(document, str(path), "the report")
    if report.get("format", str) != FORMAT:
        report.fail("format", FORMAT)
    if report.get("version", int) != VERSION:
        report.fail("version", VERSION)
    model, device = report.entry("model"), report.entry("device")
    units = tuple(_unit(each) for each in report.entries("units"))
    if not units:
        report.fail("units", "at least one compute unit")
    names = [each.compute_unit for each in units]
    if len(set(names)) != len(names):
        report.fail("units", "each compute unit once")
    return DeviceReport(
        report.get("simulated", bool),
        model.get("sha256", str),
        model.get("method", str),
        report.get("executorch", str),
        device.get("model", str),
        device.get("system", str),
        tuple(_distance(each, each.get("name", str)) for each in report.entries("here")),
        units,
    )


def _unit(entry: _Entry) -> UnitReport:
    name = entry.get("compute_unit", str)
    if name not in UNITS:
        entry.fail("compute_unit", " or ".join(UNITS))
    error = entry.optional("error", str)
    load = entry.entry("load")
    distances = tuple(_distance(each, name) for each in entry.entries("distances"))
    measured = error is None
    latency = entry.entry("latency") if measured else None
    memory = entry.entry("memory") if measured else None
    if measured and not distances:
        entry.fail("distances", "one for each output, since there is no error")
    return UnitReport(
        name,
        error,
        load.duration("cold_ms", measured),
        load.duration("warm_ms", measured),
        latency.duration("median_ms", True) if latency else None,
        latency.duration("p95_ms", True) if latency else None,
        latency.get("count", int) if latency else 0,
        memory.get("peak_bytes", int) - memory.get("before_bytes", int) if memory else None,
        distances,
        entry.optional("etdump", str),
    )


def _distance(entry: _Entry, name: str) -> OutputDistance:
    output = entry.get("output", int)
    if output < 0:
        entry.fail("output", "a position")
    return OutputDistance(
        name,
        entry.get("reference", str),
        output,
        entry.number("snr_db"),
        entry.number("max_abs"),
    )


class _Entry:
    """An object of the document, that says where it is when something is wrong."""

    def __init__(self, value: object, path: str, where: str) -> None:
        self._path = path
        self._where = where
        if not isinstance(value, dict):
            raise DeviceReportError(
                f"'{path}' is damaged: {where} is no object", found=_shown(value)
            )
        self._value = value

    def fail(self, key: str, expected: object) -> NoReturn:
        value = self._value.get(key, _MISSING)
        raise DeviceReportError(
            f"'{self._path}' is damaged: '{key}' of {self._where}",
            found="nothing" if value is _MISSING else _shown(value),
            expected=expected,
            hint="It is written by `etcoreml app check`'s package: run that again.",
        )

    def get(self, key: str, kind: type) -> Any:
        value = self._value.get(key, _MISSING)
        # bool is a subclass of int, and not a number in JSON
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(key, f"of type {kind.__name__}")
        if kind is int and isinstance(value, int) and abs(value) > _MOST:
            self.fail(key, "an integer of 64 bits")
        return value

    def optional(self, key: str, kind: type) -> Any:
        return None if self._value.get(key) is None else self.get(key, kind)

    def number(self, key: str) -> float:
        """Return a number; ``"inf"``, ``"-inf"`` and ``"nan"`` are numbers that JSON lacks."""
        value = self._value.get(key, _MISSING)
        if isinstance(value, str) and value in _NUMBERS:
            return _NUMBERS[value]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(key, "a number")
        try:
            return float(value)
        except OverflowError:
            self.fail(key, "a number that a float can hold")

    def duration(self, key: str, required: bool) -> float | None:
        if not required and self._value.get(key) is None:
            return None
        value = self.number(key)
        if not 0 <= value < math.inf:
            self.fail(key, "milliseconds")
        return value

    def entry(self, key: str) -> _Entry:
        return _Entry(self._value.get(key), self._path, f"'{key}' of {self._where}")

    def entries(self, key: str) -> list[_Entry]:
        return [
            _Entry(each, self._path, f"'{key}' {i} of {self._where}")
            for i, each in enumerate(self.get(key, list))
        ]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
