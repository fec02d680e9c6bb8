"""What ``etcoreml compare`` says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from etcoreml.cli import render
from etcoreml.cli.compare_program import Comparison
from etcoreml.cli.run_program import where
from etcoreml.trace.metrics import Distance

_COLUMNS = ("operation", "SNR dB>", "PSNR dB>", "cosine>", "max abs>", "overflow>", "underflow>")


def print_comparison(
    model: str,
    found: Comparison,
    min_snr: float | None,
    order: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print a comparison.

    Args:
        model: What was compared.
        found: The result.
        min_snr: Least signal-to-noise ratio of the outputs in dB, or None.
        order: ``snr`` for the worst first, or ``graph``.
        limit: Most rows; None for all.
        as_json: Whether to print JSON instead.
    """
    from etcoreml.trace.comparison import first_jump

    jump = first_jump(found.operations)
    if as_json:
        render.print_json(
            {
                "model": model,
                "numerics": found.numerics,
                "ran_on": _where(found),
                "min_snr_db": min_snr,
                "outputs": [asdict(each) for each in found.outputs],
                "first_jump": None if jump is None else jump.name,
                "operations": [
                    {"name": each.name, "nodes": each.nodes, "source": each.source}
                    | asdict(each.distance)
                    for each in found.operations
                ],
            }
        )
        return
    rows = list(found.operations)
    if order == "snr":
        rows.sort(key=lambda each: each.distance.snr_db)
    cells = [
        (each.name, *_cells(each.distance), ", ".join(map(_file, each.source)) or "-")
        for each in rows[:limit]
    ]
    render.print_table(f"{model} beside eager in fp32", (*_COLUMNS, "source"), cells)
    typer.echo()
    facts = [
        (f"output {i}", f"SNR {each.snr_db:.1f} dB, max abs {each.max_abs:.3g}")
        for i, each in enumerate(found.outputs)
    ]
    if jump is not None:
        where = f" ({', '.join(map(_file, jump.source))})" if jump.source else ""
        facts.append(("error jumps at", f"{jump.name}{where}"))
    facts.append(("ran on", _where(found)))
    if min_snr is not None:
        verdict = "met" if found.worst_output_db >= min_snr else "missed"
        facts.append(("threshold", f"{min_snr:g} dB: {verdict}"))
    render.print_facts(facts)
    render.print_left_out(len(rows), limit)


def _where(found: Comparison) -> str:
    # Where Apple's delegate serves, it has numerics of its own.
    if found.numerics is None:
        return where()
    return f"this machine, {found.numerics} numerics: not run on Core ML"


def _cells(found: Distance) -> tuple[Any, ...]:
    return (
        f"{found.snr_db:.1f}",
        f"{found.psnr_db:.1f}",
        f"{found.cosine:.6f}",
        f"{found.max_abs:.3g}",
        found.not_finite or "-",
        found.vanished or "-",
    )


def _file(line: str) -> str:
    return Path(line).name
