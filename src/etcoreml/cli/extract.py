"""``etcoreml extract``: the Core ML models of a .pte as files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etcoreml.cli import render
from etcoreml.cli.model_paths import check_pte
from etcoreml.cli.options import Json
from etcoreml.errors import UsageError, naming
from etcoreml.imports import quiet_imports

if TYPE_CHECKING:
    from etcoreml.deploy.extract import EmbeddedModel


def extract(
    model: Annotated[Path, typer.Argument(metavar="MODEL.pte", help="A .pte.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Where to put the models; made if it is not there.",
            show_default=False,
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what has the same names there.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the .mlpackage or .mlmodelc of every Core ML delegate, for Xcode and its tools.

    A model that several methods share is written once, with all of its functions. `models.json`
    beside them says which method calls which function, with which inputs and outputs.
    """
    check_pte(model)
    if not output.parent.is_dir():
        raise UsageError(f"cannot write '{output}': there is no directory '{output.parent}'")
    if output.exists() and not output.is_dir():
        raise UsageError(f"cannot write '{output}': it is a file", expected="a directory")
    from etcoreml.deploy.extract import check_free, embedded_models, write_models

    if not force:
        check_free(output)
    with render.stage("Loading executorch"), quiet_imports():
        import executorch.exir._serialize._program  # noqa: F401

        from etcoreml.runtime.pte import read_pte
    with naming(model):
        models = embedded_models(read_pte(model))
    with render.stage(f"Writing {render.counted(len(models), 'model')}"):
        index = write_models(models, output, force=force)
    document = _document(model, output, models)
    if json:
        render.print_json(document)
    else:
        _print(document, index)


def _document(model: Path, output: Path, models: tuple[EmbeddedModel, ...]) -> dict[str, Any]:
    entries = [each.to_json() for each in models]
    for entry in entries:
        entry["path"] = str(output / entry["path"])
    return {"program": str(model), "models": entries}


def _print(document: dict[str, Any], index: Path) -> None:
    for entry in document["models"]:
        typer.echo(f"{entry['path']}  {render.megabytes(entry['nbytes'])}")
        for use in entry["delegates"]:
            function = f", function {use['function']}" if use["function"] else ""
            inputs, outputs = (", ".join(use[key]) or "none" for key in ("inputs", "outputs"))
            typer.echo(
                f"  {use['method']}, delegate {use['delegate']}{function}: {inputs} -> {outputs}"
            )
    typer.echo(f"{index}")
