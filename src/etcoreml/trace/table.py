"""An ETDump as rows, one for each event of a method's runs.

Enters: the files that ExecuTorch's runtime and its lowering write. Leaves: rows with times, what
ran them, and, with an ETRecord, the ATen nodes and source lines.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from etcoreml.errors import UsageError
from etcoreml.imports import quiet_imports
from etcoreml.trace.inspection import parse_delegate_metadata
from etcoreml.trace.source import source_line

with quiet_imports():
    from executorch.devtools import Inspector

WHOLE = "Method::execute"
"""The event of a whole run."""

_MANY = 3


@dataclass(frozen=True)
class Row:
    """One event.

    Attributes:
        event: Its name; of a delegate's, the debug symbol.
        times_ms: Of its runs, in milliseconds.
        share: Of the time of the method, from 0 to 1.
        delegate: Name of the delegate; empty for an event of the runtime's own.
        metadata: What the delegate says of it.
        aten_ops: ATen ops that it computes.
        source: ``file:line`` of each node: its innermost frame outside of torch.
        module: Path of the innermost module of the first node, e.g. ``encoder.0.mlp``.
        snr_db: How far its value is from eager's; None if unknown.
    """

    event: str
    times_ms: tuple[float, ...]
    share: float
    delegate: str
    metadata: Mapping[str, Any]
    aten_ops: tuple[str, ...]
    source: tuple[str, ...]
    module: str = ""
    snr_db: float | None = None

    @property
    def median_ms(self) -> float:
        """The median of its runs, in milliseconds."""
        return statistics.median(self.times_ms)

    @property
    def searched(self) -> str:
        """The text that a filter looks into, in lower case."""
        return " ".join((self.event, *self.aten_ops, *self.source)).lower()

    def cells(self, *, with_gap: bool) -> tuple[object, ...]:
        """Return what a table shows."""
        cells = (
            self.event,
            f"{self.median_ms:.4f}",
            f"{self.share:.1%}",
            len(self.times_ms),
            self.metadata.get("device", "-"),
            _some(self.aten_ops),
            _some([Path(each).name for each in self.source]),
        )
        gap = "-" if self.snr_db is None else f"{self.snr_db:.1f}"
        return (*cells, gap) if with_gap else cells


def read_rows(
    etdump: Path,
    etrecord: Path | None = None,
    debug_buffer: Path | None = None,
    *,
    warmup: int = 0,
) -> list[Row]:
    """Return the rows of an ETDump, in order of the events.

    Args:
        etdump: The ETDump.
        etrecord: The ETRecord of the model.
        debug_buffer: The values; with them, rows have ``snr_db``.
        warmup: Runs to leave out, the first ones.

    Raises:
        UsageError: A file is not what it should be.
    """
    try:
        inspector = Inspector(
            etdump_path=str(etdump),
            etrecord=None if etrecord is None else str(etrecord),
            debug_buffer_path=None if debug_buffer is None else str(debug_buffer),
            delegate_metadata_parser=parse_delegate_metadata,
            enable_module_hierarchy=etrecord is not None,
        )
    except Exception as error:  # whatever executorch raises of a damaged file
        given = ", ".join(f"'{path}'" for path in (etdump, etrecord, debug_buffer) if path)
        raise UsageError(f"executorch cannot read {given}", found=_first_line(error)) from error
    events = [
        event
        for block in inspector.event_blocks
        if block.name == "Execute"
        for event in block.events
        if event.perf_data is not None
    ]
    gaps = {} if debug_buffer is None else _gaps(inspector)
    rows = _joined([_row(event, gaps) for event in events], warmup)
    whole = sum(row.median_ms for row in rows if row.event == WHOLE)
    return [replace(row, share=row.median_ms / whole if whole else 0.0) for row in rows]


def json_text(rows: Iterable[Row]) -> str:
    """Return rows as a JSON list."""
    return json.dumps([_fields(row) for row in rows], indent=2) + "\n"


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV with a header; lists are joined by semicolons."""
    text = io.StringIO()
    left_out = ("metadata", "times_ms")
    names = [*(name for name in Row.__dataclass_fields__ if name not in left_out)]
    names += ["median_ms", "runs", "device"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = _fields(row)
        metadata, times = values.pop("metadata"), values.pop("times_ms")
        for name in ("aten_ops", "source"):
            values[name] = "; ".join(values[name])
        device = metadata.get("device", "")
        writer.writerow({**values, "runs": len(times), "device": device})
    return text.getvalue()


def _fields(row: Row) -> dict[str, Any]:
    return {**asdict(row), "median_ms": row.median_ms}


def _joined(rows: Iterable[Row], warmup: int) -> list[Row]:
    """Return one row for each event: runs whose events differ are in blocks of their own."""
    found: dict[str, Row] = {}
    for row in rows:
        before = found.get(row.event)
        times = row.times_ms if before is None else before.times_ms + row.times_ms
        found[row.event] = replace(before or row, times_ms=times)
    whole = found.get(WHOLE)
    runs = 0 if whole is None else len(whole.times_ms)
    left_out = [_of_warmup(len(row.times_ms), runs, warmup) for row in found.values()]
    return [
        replace(row, times_ms=row.times_ms[count:])
        for row, count in zip(found.values(), left_out, strict=True)
        if len(row.times_ms) > count
    ]


def _of_warmup(count: int, runs: int, warmup: int) -> int:
    """Return how many of an event's times are of the warm-up.

    Args:
        count: Its times: several in a run, such as calls of delegates, or of the last runs alone.
        runs: All runs.
        warmup: The first of them.

    >>> _of_warmup(22, 11, 3), _of_warmup(11, 11, 3), _of_warmup(9, 11, 3)
    (6, 3, 1)
    """
    each = max(1, count // runs) if runs else 1
    return max(0, warmup * each - max(0, runs * each - count))


def _row(event: Any, gaps: Mapping[tuple[int, ...], float]) -> Row:
    traces = (event.stack_traces or {}).values()
    found = event.delegate_debug_metadatas
    handles = event.debug_handles
    handles = (handles,) if isinstance(handles, int) else tuple(sorted(handles or ()))
    return Row(
        event=str(event.name),
        times_ms=tuple(map(float, event.perf_data.raw)),
        share=0.0,
        delegate=event.delegate_backend_name or "",
        metadata=found if isinstance(found, dict) else {},
        aten_ops=tuple(dict.fromkeys(event.op_types or ())),
        source=tuple(dict.fromkeys(filter(None, map(source_line, traces)))),
        module=next(filter(None, map(_module, event.module_hierarchy.values())), ""),
        snr_db=gaps.get(handles) if event.is_delegated_op else None,
    )


def _module(stack: Any) -> str:
    """Return the path of the innermost module, as ``named_modules`` has it."""
    if not isinstance(stack, dict) or not stack:
        return ""
    path = str(list(stack.values())[-1][0])
    return path.removeprefix("L['self']").removeprefix(".")


def _gaps(inspector: Any) -> dict[tuple[int, ...], float]:
    """Return SNR in dB by debug handles, as executorch computes it."""
    table = inspector.calculate_numeric_gap("SNR")
    pairs = zip(table["aot_debug_handle"], table["gap"], strict=True)
    return {tuple(sorted(handles)): float(gap[0]) for handles, gap in pairs}


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(values[:_MANY]) or "-"
    return f"{shown}, {len(values) - _MANY} more" if len(values) > _MANY else shown


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
