"""``etcoreml app new``: an Xcode project that runs a .pte."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from etcoreml.cli import render
from etcoreml.cli.options import Json, MethodToRun, NewDirectory
from etcoreml.errors import UsageError
from etcoreml.imports import quiet_imports


def new(
    directory: NewDirectory,
    model: Annotated[
        Path, typer.Option(metavar="FILE", help="The .pte to run.", show_default=False)
    ],
    platform: Annotated[
        Literal["ios", "macos", "tvos"],
        typer.Option(help="The system; ios is for iPhone and iPad."),
    ] = "ios",
    name: Annotated[
        str | None,
        typer.Option(help="Name of the app, as of a Swift type.", show_default="from FILE"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Names of the classes, one a line.", show_default="numbers"
        ),
    ] = None,
    language: Annotated[
        Literal["swift", "objc"], typer.Option(help="Of the sources; objc is for ios.")
    ] = "swift",
    mean: Annotated[
        str,
        typer.Option(metavar="R[,G,B]", help="Subtracted from the pixels (0 to 255) of a picture."),
    ] = "0",
    std: Annotated[
        str, typer.Option(metavar="R[,G,B]", help="Such pixels are divided by it.")
    ] = "255",
    method: MethodToRun = None,
    profiling: Annotated[
        bool,
        typer.Option(
            "--profiling", help="Link the debug variants, and record an ETDump in the app."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Write an Xcode project that runs a .pte with ExecuTorch and Core ML.

    An app that classifies pictures, if that is what the model does, and else one that runs a sample
    input; typed inputs and outputs, unit tests, and a README with the steps. It is not built here:
    that needs a Mac with Xcode.
    """
    from etcoreml.cli.model_paths import check_pte
    from etcoreml.deploy.app.folder import check_new

    check_pte(model)
    check_new(directory)
    names = _labels(labels) if labels is not None else None
    normalisation = _numbers("--mean", mean), _numbers("--std", std)
    with render.stage("Loading executorch"), quiet_imports():
        import executorch.exir._serialize._program  # noqa: F401

        from etcoreml.deploy.app.identifiers import app_name
        from etcoreml.deploy.app.model import read_app_model
        from etcoreml.deploy.app.project import AppOptions, make_app, write_app
    with render.stage(f"Reading {model.name}"):
        program = read_app_model(model, method)
    app = make_app(
        program,
        model.name,
        AppOptions(
            *(app_name(name, model), platform, language, names),
            *normalisation,
            profiling,
        ),
    )
    with render.stage(f"Writing {directory}"):
        write_app(app, directory)
    if json:
        render.print_json(
            {
                "directory": str(directory),
                "project": f"{app.options.name}.xcodeproj",
                "kind": "generic" if program.picture_size is None else "pictures",
                "platform": platform,
                "minimum": app.minimum,
                "package": None if app.project.remote is None else app.project.remote[0],
                "branch": None if app.project.remote is None else app.project.remote[1],
                "products": list(app.products),
                "files": sorted(app.files),
            }
        )
        return
    kind = "runs a sample input" if program.picture_size is None else "classifies pictures"
    source = (
        f"ExecuTorch's Swift package, {app.release.branch}"
        if app.project.remote is not None
        else "Frameworks/, which you build: see README.md"
    )
    render.print_facts(
        [
            ("app", f"{app.options.name}, {kind}"),
            ("needs", f"{app.platform.title} {app.minimum} or later"),
            ("links", f"{', '.join(app.products)}"),
            ("from", source),
            ("files", f"{len(app.files)} in {directory}, not built here"),
        ]
    )
    bundle = shlex.quote(f"{directory / app.options.name}.xcodeproj")
    typer.echo(f"\nNext, on a Mac: open {bundle}")


def _labels(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"'{path}' is not UTF-8 text", found=error.reason) from error
    return [line.strip() for line in lines]


def _numbers(option: str, text: str) -> tuple[float, float, float]:
    """Parse one number, or one each for red, green and blue."""
    try:
        values = [float(each) for each in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise UsageError(
            f"{option} is no number", found=text, expected="one, or three with commas between"
        )
    return values[0], values[1], values[2]
