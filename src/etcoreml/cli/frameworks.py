"""``etcoreml app frameworks``: ExecuTorch's frameworks from source, for Xcode."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etcoreml.cli import render
from etcoreml.cli.options import Json
from etcoreml.deploy.frameworks import (
    KERNELS,
    Configuration,
    check_prerequisites,
    plan_build,
    run_plan,
)

if TYPE_CHECKING:
    from etcoreml.deploy.doctor import Check
    from etcoreml.deploy.frameworks import Plan


def frameworks(
    source: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of ExecuTorch's sources; cloned into if there is none."
        ),
    ] = Path("executorch"),
    kernels: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="KERNELS",
            help=f"What to build beside Core ML: {', '.join(KERNELS)}. Repeatable.",
            show_default="optimized, the operators that stay outside Core ML",
        ),
    ] = None,
    configuration: Annotated[
        Configuration, typer.Option(help="Variants: with logging (debug), without, or both.")
    ] = "both",
    tag: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="Version of ExecuTorch.",
            show_default="that of the installed executorch",
        ),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Build them now; on macOS with Xcode only.")
    ] = False,
    json: Json = False,
) -> None:
    """Say how to build ExecuTorch's frameworks with Core ML from source, and how to link them.

    Most apps need none of this: `etcoreml app new` takes the ready-made Swift package. Build them
    for an ExecuTorch of your own, or where Swift packages cannot be used.
    """
    plan = plan_build(source, kernels or ("optimized",), configuration, tag=tag)
    if run:
        run_plan(plan, lambda step: typer.echo(f"{step} ...", err=True))
    checks = check_prerequisites()
    if json:
        render.print_json(_document(plan, checks, built=run))
    else:
        _print(plan, checks, built=run)


def _document(plan: Plan, checks: list[Check], built: bool) -> dict[str, Any]:
    return {
        "tag": plan.tag,
        "source": str(plan.source),
        "built": built,
        "prerequisites": [
            {
                "name": each.name,
                "status": each.status.value,
                "found": each.found,
                "expected": each.expected,
                "remedy": each.remedy,
            }
            for each in checks
        ],
        "steps": [
            {
                "what": step.what,
                "command": list(step.command),
                "folder": str(plan.source) if step.in_source else ".",
            }
            for step in plan.steps
        ],
        "frameworks": [str(plan.source / path) for path in plan.made],
        "build_phases": {place: list(entries) for place, entries in plan.build_phases},
    }


def _print(plan: Plan, checks: list[Check], built: bool) -> None:
    typer.echo("What the build needs")
    for each in checks:
        typer.echo(f"  {each.status.value:<8} {each.name}: {each.found}")
        if each.remedy:
            typer.echo(f"  {'':<8}   -> {each.remedy}")
    if not built:
        typer.echo(f"\nCommands, on a Mac (ExecuTorch {plan.tag})")
        _print_commands(plan)
    typer.echo(f"\nFrameworks {'built' if built else 'that come out'}")
    for path in plan.made:
        typer.echo(f"  {plan.source / path}")
    typer.echo("\nIn Xcode, for the app's target")
    for place, entries in plan.build_phases:
        typer.echo(f"  {place}")
        for entry in entries:
            typer.echo(f"    {entry}")
    if any(path.endswith("_debug.xcframework") for path in plan.made) and not plan.linked[
        0
    ].endswith("_debug.xcframework"):
        typer.echo("  The variants ending in _debug take the places of the others to see logs.")
    if not built:
        typer.echo(
            "\nFrom ExecuTorch's own scripts and documentation; not run on a Mac by etcoreml."
        )


def _print_commands(plan: Plan) -> None:
    inside = False
    for step in plan.steps:
        typer.echo(f"  # {step.what}")
        if step.in_source and not inside:
            typer.echo(f"  cd {shlex.quote(str(plan.source))}")
            inside = True
        typer.echo(f"  {step.line}")
        if step.command[-1] == ".venv":
            typer.echo("  source .venv/bin/activate")
