"""What became of each test: rows in JSON lines, written as the tests end, and their sums.

A run is killed, crashes, or is continued tomorrow: a row is one line, appended and flushed at once;
a torn last line is ignored, and a test that started and never ended is one that crashed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from etcoreml.atomic import write_atomic

_COLLECTED = "collected.json"

STARTED, PASSED, FAILED, SKIPPED, XFAILED = "started", "passed", "failed", "skipped", "xfailed"


@dataclass(frozen=True)
class Row:
    """The end of one test.

    Attributes:
        test: Node id, relative to site-packages.
        outcome: One of the constants above; ``started`` alone means that the process died.
        predictions: How many predictions it asked for.
        reason: First line of the error, or why it was skipped.
        seconds: How long the call took.
    """

    test: str
    outcome: str
    predictions: int = 0
    reason: str = ""
    seconds: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether it counts: it asked for a prediction, or died."""
        return self.outcome == STARTED or (
            self.predictions > 0 and self.outcome in (PASSED, FAILED)
        )


def append(file: TextIO, row: Row) -> None:
    """Add a row and flush it."""
    file.write(json.dumps(asdict(row)) + "\n")
    file.flush()


def read(directory: Path) -> dict[str, Row]:
    """Return the last row of each test in a folder of records."""
    rows: dict[str, Row] = {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                row = Row(**json.loads(line))
            except ValueError:  # torn by a kill
                continue
            if row.outcome != STARTED or row.test not in rows:
                rows[row.test] = row
    return rows


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many ran, reached a prediction, passed, failed, and did not reach one."""
    total = dict.fromkeys(("run", "reached", "passed", "failed", "skipped", "xfailed", "before"), 0)
    for row in rows:
        total["run"] += 1
        if row.reached:
            total["reached"] += 1
            total["passed" if row.outcome == PASSED else "failed"] += 1
        elif row.outcome in (SKIPPED, XFAILED):
            total[row.outcome] += 1
        elif row.outcome == FAILED:
            total["before"] += 1
    return total


def write_collected(directory: Path, tests: int, programs: int) -> None:
    """Note how many cases a collection found, and how many of them are ML Programs."""
    text = json.dumps([tests, programs])
    write_atomic(directory / _COLLECTED, lambda file: file.write(text.encode()))


def read_collected(directory: Path) -> tuple[int, int]:
    """Return what :func:`write_collected` noted."""
    tests, programs = json.loads((directory / _COLLECTED).read_text())
    return tests, programs
