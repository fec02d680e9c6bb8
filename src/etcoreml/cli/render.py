"""Everything the command line draws: the only file that imports rich.

Reports go to standard output; progress, errors and whatever libraries print go to standard error.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer

from etcoreml.errors import EtCoreMLError
from etcoreml.units import counted as counted
from etcoreml.units import megabytes as megabytes

# Columns of a table that is not printed to a terminal: nothing is wrapped or cut.
_WIDTH_OF_A_FILE = 10_000


def print_json(document: Any) -> None:
    """Print a document as JSON, and nothing else; numbers that JSON lacks become null."""
    typer.echo(json_text(document), nl=False)


def json_text(document: Any) -> str:
    """Return what `print_json` prints."""
    return json.dumps(_finite(document), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_error(error: EtCoreMLError) -> None:
    """Print an error's message and hint to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", style="bold red") + Text(error.message))
    if error.hint:
        console.print(Text("hint:  ", style="bold cyan") + Text(error.hint))


def print_note(note: str) -> None:
    """Print a remark to standard error."""
    typer.echo(f"note: {note}", err=True)


def print_text(text: str) -> None:
    """Print lines as they are; those without indentation are headings."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in text.splitlines():
        console.print(Text(line, style="" if line.startswith(" ") else "bold"))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns whose name ends in ``>`` are set flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Not rich's own title, which is wrapped to the width of the table.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    console.print(Text(f"\n{title}", style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        right = column.endswith(">")
        table.add_column(column.removesuffix(">"), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def print_left_out(rows: int, limit: int | None) -> None:
    """Say how many rows of a table a limit left out, if any."""
    if limit is not None and rows > limit:
        print_note(f"{counted(rows - limit, 'more row')}; a higher --limit prints more")


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print a list of name and value, aligned."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        typer.echo(f"{name:<{width}}  {value}")


def runs_here(missing: Sequence[str]) -> str:
    """Say whether MIL ops run on this machine, given those that do not.

    >>> runs_here([])
    'all of them'
    >>> runs_here(["conv", "relu"])
    'all but conv, relu'
    """
    return f"all but {', '.join(missing)}" if missing else "all of them"


@contextlib.contextmanager
def stage(
    what: str, timings: dict[str, float] | None = None, key: str = "", *, still: bool = False
) -> Iterator[Callable[[str], None]]:
    """Show that ``what`` is under way, and how long it took, on standard error.

    What the body prints goes to standard error too, where it cannot spoil a report.

    Args:
        what: The stage, as a verb with its object.
        timings: Receives the seconds under ``key``.
        key: Name of the stage in ``timings``.
        still: Draw nothing while the body runs, where drawing would disturb what it measures.

    Yields:
        A function that says what the stage is at.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    start = time.perf_counter()
    if still and console.is_terminal:
        console.print(f"{what} ...", end="\r", markup=False)
    status = console.status(f"{what} ...")
    with contextlib.redirect_stdout(sys.stderr), contextlib.nullcontext() if still else status:
        yield lambda step: status.update(f"{what}: {escape(step)} ...")
    seconds = time.perf_counter() - start
    if timings is not None:
        timings[key or what] = seconds
    console.print(f"{what:<44} {seconds:6.1f} s", markup=False, soft_wrap=True)
