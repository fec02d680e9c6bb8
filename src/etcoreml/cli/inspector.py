"""``etcoreml inspector``: an ETDump as a table, joined with the ETRecord of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from etcoreml.atomic import write_atomic
from etcoreml.cli import render
from etcoreml.cli.options import Limit
from etcoreml.cli.outputs import check_writable
from etcoreml.cli.voices import libraries
from etcoreml.errors import UsageError

Order = Literal["time", "name", "start"]

_COLUMNS = ("event", "median ms>", "share>", "runs>", "ran on", "ATen nodes", "source")


def inspector(
    etdump_path: Annotated[
        Path,
        typer.Option("--etdump_path", "--etdump-path", help="The ETDump.", show_default=False),
    ],
    etrecord_path: Annotated[
        Path | None,
        typer.Option(
            "--etrecord_path",
            "--etrecord-path",
            help="The model's ETRecord: adds ATen nodes and source lines.",
            show_default="none",
        ),
    ] = None,
    debug_buffer_path: Annotated[
        Path | None,
        typer.Option(
            "--debug_buffer_path",
            "--debug-buffer-path",
            help="The debug buffer: adds how far values are from eager's.",
            show_default="none",
        ),
    ] = None,
    sort: Annotated[Order, typer.Option(help="Order of the rows.")] = "time",
    filter_text: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="TEXT",
            help="Only events whose name, ATen node or source line has TEXT.",
            show_default="all",
        ),
    ] = "",
    limit: Limit = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the rows: .csv or .json.",
            show_default="none",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Print what an ETDump says of each operation."""
    for path in (etdump_path, etrecord_path, debug_buffer_path):
        if path is not None and not path.is_file():
            raise UsageError(f"there is no file '{path}'")
    if debug_buffer_path is not None and etrecord_path is None:
        raise UsageError("--debug_buffer_path needs --etrecord_path, which has what to compare to")
    if output is not None:
        check_writable(output, ".csv", ".json")
    with libraries(False):
        with render.stage("Loading torch and executorch"):
            from etcoreml.trace.table import csv_text, json_text, read_rows

        rows = read_rows(etdump_path, etrecord_path, debug_buffer_path)
    text = filter_text.lower()
    rows = [row for row in rows if text in row.searched]
    if sort == "time":
        rows.sort(key=lambda row: -row.median_ms)
    elif sort == "name":
        rows.sort(key=lambda row: row.event)
    if output is not None:
        written = csv_text(rows) if output.suffix == ".csv" else json_text(rows)
        write_atomic(output, lambda file: file.write(written.encode()))
    if json:
        typer.echo(json_text(rows), nl=False)
        return
    gaps = any(row.snr_db is not None for row in rows)
    columns = (*_COLUMNS, "SNR dB>") if gaps else _COLUMNS
    cells = [row.cells(with_gap=gaps) for row in rows[:limit]]
    render.print_table(f"{etdump_path}", columns, cells)
    render.print_left_out(len(rows), limit)
    if output is not None:
        render.print_facts([("written", str(output))])
