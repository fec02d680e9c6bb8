"""``etcoreml inspect``: what a program or a Core ML model holds, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etcoreml.cli import render
from etcoreml.cli.model_paths import CORE_ML, check_model_path
from etcoreml.errors import naming


def inspect(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .pte, .mlpackage, .mlmodel or .mlmodelc.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show what MODEL holds: functions or methods, inputs and outputs, MIL ops, weights.

    Of each op it says whether the engine on this machine runs it.
    """
    check_model_path(model, "inspect")
    with naming(model):
        if model.suffix in CORE_ML:
            from etcoreml.cli.inspect_model import model_document, print_model

            document, show = model_document(model), print_model
        else:
            from etcoreml.cli.inspect_program import print_program, program_document

            document, show = program_document(model), print_program
    if json:
        render.print_json(document)
    else:
        show(document)
