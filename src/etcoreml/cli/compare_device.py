"""``etcoreml compare --device-report``: what a device did, beside what this machine does."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import typer

from etcoreml.choices import Numerics
from etcoreml.cli import render
from etcoreml.cli.run_program import where
from etcoreml.deploy.check.report import DeviceReport, OutputDistance, read_device_report, worst
from etcoreml.errors import DeviceReportError, UsageError
from etcoreml.units import megabytes

_RUNS, _WARMUP = 10, 2


def compare_device(model: Path, report_path: Path, min_snr: float | None, as_json: bool) -> bool:
    """Print a report beside our own figures; returns whether the threshold is met.

    Args:
        model: The .pte.
        report_path: What the check on the device wrote.
        min_snr: Least signal-to-noise ratio of every output of every unit in dB, or None.
        as_json: Whether to print JSON instead.

    Raises:
        DeviceReportError: The report is damaged, or of another .pte.
        UsageError, ProgramError, DelegateError: The .pte cannot be read or run here.
    """
    import hashlib

    from etcoreml.runtime.pte import read_pte_bytes

    report = read_device_report(report_path)
    digest = hashlib.sha256(read_pte_bytes(model)).hexdigest()
    if digest != report.sha256:
        raise DeviceReportError(
            f"'{report_path}' is of another program than '{model}'",
            found=f"SHA-256 {report.sha256[:16]}...",
            expected=f"{digest[:16]}...",
            hint="Make a new check of this .pte: `etcoreml app check`.",
        )
    ours = _measured_here(model, report.method)
    met = min_snr is None or report.worst_snr_db >= min_snr
    if as_json:
        render.print_json(
            {
                "model": str(model),
                "method": report.method,
                "simulated": report.simulated,
                "device": {"model": report.device, "system": report.system},
                "min_snr_db": min_snr,
                "met": met,
                "units": [
                    asdict(each) | {"worst_snr_db": each.worst_snr_db} for each in report.units
                ],
                "here": ours,
                "ran_on": where(),
                "references": [asdict(each) for each in report.here],
            }
        )
    else:
        _print(model, report, ours, min_snr)
    return met


def _measured_here(model: Path, method: str) -> list[dict[str, Any]]:
    """Return how long loading and running take here, in each way of computing."""
    with render.stage("Loading torch and executorch"):
        import numpy as np

        import etcoreml.runtime.program
        from etcoreml.cli.run_program import method_inputs, start_threads
        from etcoreml.cli.timed import timed

        start_threads()
    found = []
    # Apple's delegate has numerics of its own, where that serves.
    ways: tuple[Numerics | None, ...] = (None,)
    if etcoreml.bridge.registered:
        ways = ("fast", "faithful")
    for numerics in ways:
        how = f" with {numerics} numerics" if numerics else ""
        with render.stage(f"Running it here{how}", still=True):
            program = etcoreml.load(model, numerics=numerics)
            if method not in program.methods:
                raise DeviceReportError(
                    f"the report is of a method that '{model}' does not have",
                    found=method,
                    expected=", ".join(program.methods),
                )
            try:
                values = method_inputs(program, model, method, (), seed=0)
            except UsageError as error:  # a number, or a dtype that NumPy lacks
                render.print_note(f"not timed here, for want of random inputs: {error.what}")
                return []
            _, load_ms = timed(partial(program.load, method), 0, 1)
            _, times = timed(partial(program.run, method, values), _WARMUP, _RUNS)
        found.append(
            {
                "numerics": numerics,
                "load_ms": load_ms[0],
                "median_ms": float(np.median(times)),
                "p95_ms": float(np.percentile(times, 95)),
            }
        )
    return found


def _print(
    model: Path, report: DeviceReport, ours: list[dict[str, Any]], min_snr: float | None
) -> None:
    references = list(dict.fromkeys(d.reference for u in report.units for d in u.distances))
    rows: list[tuple[object, ...]] = []
    for unit in report.units:
        if unit.error is not None:
            rows.append((unit.compute_unit, *["-"] * (5 + len(references))))
            continue
        rows.append(
            (
                unit.compute_unit,
                *(_ms(each) for each in (unit.load_cold_ms, unit.load_warm_ms)),
                *(_ms(each) for each in (unit.median_ms, unit.p95_ms)),
                "-" if unit.memory_bytes is None else megabytes(max(unit.memory_bytes, 0)),
                *(_snr(unit.distances, unit.compute_unit, each) for each in references),
            )
        )
    for each in ours:
        name = each["numerics"] or "core_ml"
        rows.append(
            (
                f"here, {each['numerics'] or 'Core ML'}",
                _ms(each["load_ms"]),
                "-",
                *(_ms(each[key]) for key in ("median_ms", "p95_ms")),
                "-",
                *(_snr(report.here, name, reference) for reference in references),
            )
        )
    simulated = " (simulated)" if report.simulated else ""
    title = f"{model.name} on {report.device}, {report.system}{simulated}"
    columns = ("compute unit", "cold ms>", "warm ms>", "median ms>", "p95 ms>", "memory>")
    heads = [f"SNR dB, {each}>" for each in references]
    render.print_table(title, (*columns, *heads), rows)
    typer.echo()
    facts = [
        (each.compute_unit, f"failed: {each.error}")
        for each in report.units
        if each.error is not None
    ]
    if report.simulated:
        facts.append(("simulated", "no device made this report: its figures mean nothing"))
    facts.append(("SNR", "the worst output, beside what this machine computed in that way"))
    facts.append(("ran on", f"{report.device}, {report.system}{simulated}; here: {where()}"))
    if min_snr is not None:
        verdict = "met" if report.worst_snr_db >= min_snr else "missed"
        facts.append(("threshold", f"{min_snr:g} dB: {verdict}"))
    render.print_facts(facts)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _snr(distances: tuple[OutputDistance, ...], name: str, reference: str) -> str:
    """Return the worst ratio; references are compared in one direction, which either has."""
    pairs = [
        each
        for each in distances
        if (each.name, each.reference) in ((name, reference), (reference, name))
    ]
    return f"{worst(pairs):.1f}" if pairs else "-"
