"""``etcoreml inspect``: what a program or a Core ML model holds, without running it."""

from __future__ import annotations

from etcoreml.cli import render
from etcoreml.cli.model_paths import CORE_ML, check_model_path
from etcoreml.cli.options import Json, ModelFile
from etcoreml.errors import naming


def inspect(
    model: ModelFile,
    json: Json = False,
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
