"""``etcoreml doctor``: what this machine can do, and what mends the rest.

Draws nothing with rich, which may be what is missing.
"""

from __future__ import annotations

import json as json_
import platform
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

import etcoreml
from etcoreml.cli.options import Json

if TYPE_CHECKING:
    from etcoreml.deploy.doctor import Check

_WIDTH = 11


def doctor(
    json: Json = False,
) -> None:
    """Say what is missing or broken here, and the command that mends it.

    Looks at Python and its packages, the native bridge, the engine's devices, the compiler, and
    on a Mac at Xcode and its tools. Exit code 1 if something that is needed is not ok.
    """
    from etcoreml.deploy.doctor import examine

    checks = examine()
    failing = [each for each in checks if each.fails]
    if json:
        typer.echo(json_.dumps(_document(checks), indent=2))
    else:
        _print(checks, failing)
    if failing:
        raise typer.Exit(1)


def _document(checks: list[Check]) -> dict[str, Any]:
    return {
        "etcoreml": etcoreml.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "ok": not any(each.fails for each in checks),
        "checks": [
            {
                "group": each.group,
                "name": each.name,
                "status": each.status.value,
                "needed": each.needed,
                "found": each.found,
                "expected": each.expected,
                "remedy": each.remedy,
            }
            for each in checks
        ],
    }


def _print(checks: list[Check], failing: list[Check]) -> None:
    system = f"{platform.system()} {platform.machine()}"
    typer.echo(f"etcoreml {etcoreml.__version__}, {system}, Python {platform.python_version()}")
    for group, members in groupby(checks, key=lambda each: each.group):
        typer.echo(f"\n{group}")
        for each in members:
            _print_check(each)
    if failing:
        names = ", ".join(each.name for each in failing)
        typer.echo(f"\nNeeded, and not ok: {names}")
    else:
        typer.echo("\nAll that is needed is ok.")


def _print_check(check: Check) -> None:
    status = check.status.value
    if not check.is_ok and not check.needed:
        status = f"({status})"
    wanted = f"; expected {check.expected}" if check.expected else ""
    typer.echo(f"  {status:<{_WIDTH}} {check.name}: {check.found}{wanted}")
    if check.remedy:
        typer.echo(f"  {'':<{_WIDTH}}   -> {check.remedy}")
