"""What ``etcoreml export`` says of a lowering: what was written, what stayed outside, and why."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from etcoreml.atomic import write_atomic
from etcoreml.cli import render
from etcoreml.errors import EtCoreMLError, ExportError, UsageError

if TYPE_CHECKING:
    from etcoreml.partition import Decision, DelegationReport
    from etcoreml.precision import MixedPrecision

_MOST_ROWS = 20


def check_kernels(model: str, report: DelegationReport) -> None:
    """Refuse a program that ExecuTorch's stock runtime could not load.

    Raises:
        ExportError: An op is outside of Core ML, and there is no kernel for it.
    """
    from etcoreml.partition.kernels import missing_kernels

    missing = missing_kernels(report)
    if missing is not None:
        what = f"'{model}' would not load. {missing}"
        hint = (
            "Change those lines, or export with --allow-missing-kernels for an app that links "
            "kernels of its own."
        )
        raise ExportError(what, hint=hint)


@dataclass(frozen=True)
class Findings:
    """What is said of one export.

    Attributes:
        model: MODEL as it was given.
        report: The partitioner's report, which fills while the program is lowered.
        file: Where the report is written, if anywhere.
        explain: Whether it is printed.
        as_json: Whether standard output is a JSON document.
        mixed: ``precision.MixedPrecision`` of an export that chose what is in fp32.
    """

    model: str
    report: DelegationReport
    file: Path | None
    explain: bool
    as_json: bool
    mixed: MixedPrecision | None = None

    @contextlib.contextmanager
    def shown_on_failure(self) -> Iterator[None]:
        """Write and print the report also when the body fails: it says why."""
        try:
            yield
        except UsageError:
            raise
        except EtCoreMLError:
            if self.report.programs:
                if self.file is not None:
                    write_atomic(self.file, self._write)
                if self.explain and not self.as_json:
                    render.print_text(str(self.report))
            raise

    def write_with(self, output: Path, write: Callable[[BinaryIO], object]) -> None:
        """Write the program and the report: both or, when one fails, none."""
        if self.file is None:
            write_atomic(output, write)
            return

        def both(file: BinaryIO) -> None:
            self._write(file)
            write_atomic(output, write)

        write_atomic(self.file, both)

    def _write(self, file: BinaryIO) -> None:
        assert self.file is not None
        as_json = self.file.suffix == ".json"
        file.write((self.report.to_json() if as_json else f"{self.report}\n").encode())

    def print(self, output: Path, timings: Mapping[str, float]) -> None:
        """Print the result of an export that succeeded."""
        nbytes = output.stat().st_size
        if self.as_json:
            render.print_json(self._document(output, nbytes, timings))
            return
        facts = [("written", f"{output} ({render.megabytes(nbytes)})")]
        if self.file is not None:
            facts.append(("report", str(self.file)))
        facts.append(("delegated", self.report.summary()))
        facts.append(("runs on", str(self.report.target)))
        if self.mixed is not None:
            facts.append(("precision", _in_words(self.mixed)))
        render.print_facts(facts)
        if self.mixed is not None and self.mixed.nodes:
            self._print_float32()
        if self.explain:
            typer.echo()
            render.print_text("\n".join(str(self.report).splitlines()[2:]))
        elif self.report.left_out:
            self._print_left_out()
        run = f"etcoreml run {shlex.quote(str(output))}"
        typer.echo(f"\nNext: {run}")
        if self.report.left_out and not self.explain:
            typer.echo("      etcoreml export ... --explain, for where, why and what to change")

    def _print_float32(self) -> None:
        from etcoreml.partition.report_text import place

        assert self.mixed is not None
        rows = [
            (each.node, each.op, place(each, short=True))
            for each in self.report
            if each.node in self.mixed.nodes
        ]
        render.print_table("Computed in float32", ("node", "op", "at"), rows[:_MOST_ROWS])
        if len(rows) > _MOST_ROWS:
            typer.echo(f"and {len(rows) - _MOST_ROWS} more")

    def _print_left_out(self) -> None:
        from etcoreml.partition.report_text import place

        groups: dict[tuple[str, str | None], list[Decision]] = {}
        for each in self.report.left_out:
            groups.setdefault((each.op, each.reason), []).append(each)
        rows = [
            (op, len(group), place(group[0], short=True), reason)
            for (op, reason), group in groups.items()
        ]
        render.print_table(
            "Left out of Core ML", ("op", "nodes>", "first at", "reason"), rows[:_MOST_ROWS]
        )
        if len(rows) > _MOST_ROWS:
            typer.echo(f"and {len(rows) - _MOST_ROWS} more")

    def _document(self, output: Path, nbytes: int, timings: Mapping[str, float]) -> dict[str, Any]:
        document: dict[str, Any] = {
            "model": self.model,
            "output": str(output),
            "nbytes": nbytes,
            "minimum_deployment_target": self.report.target.names[0],
            "nodes": len(self.report),
            "nodes_delegated": len(self.report.delegated),
            "left_out": [
                {
                    "node": each.node,
                    "op": each.op,
                    "reason": each.reason,
                    "source": None if each.source is None else str(each.source),
                    "advice": each.advice,
                    "lacks_kernel": each.lacks_kernel,
                }
                for each in self.report.left_out
            ],
            "seconds": {name: round(value, 3) for name, value in timings.items()},
        }
        if self.mixed is not None:
            document["float32"] = {
                "nodes": list(self.mixed.nodes),
                "snr_db": self.mixed.snr_db,
                "snr_db_float16": self.mixed.snr_db_float16,
            }
        if self.explain:
            document["report"] = self.report.to_dict()
        return document


def _in_words(mixed: MixedPrecision) -> str:
    whole = f"{mixed.snr_db_float16:.1f} dB" if math.isfinite(mixed.snr_db_float16) else "overflow"
    if not mixed.nodes:
        return f"float16 throughout: {whole}"
    count = f"{len(mixed.nodes)} of {mixed.delegated} nodes in float32"
    return f"{count}: {mixed.snr_db:.1f} dB (float16 throughout: {whole})"
