"""``etcoreml compare``: a lowered model beside eager fp32, operation by operation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from etcoreml.choices import Numerics, Precision
from etcoreml.cli.model_paths import check_pte, refuse_bundle
from etcoreml.cli.options import Json, Limit
from etcoreml.cli.voices import libraries
from etcoreml.errors import CompareError, UsageError

Order = Literal["snr", "graph"]


def compare(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="What `etcoreml export` takes, or a .pte with --etrecord or --device-report.",
            show_default=False,
        ),
    ],
    etrecord: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The ETRecord of a .pte.", show_default="none"),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="An input: .npy, .pt, .png or .jpg, in order. Repeatable.",
            show_default="the model's example inputs",
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Compute precision of a model that is lowered.", show_default="float16"),
    ] = None,
    numerics: Annotated[
        Numerics | None,
        typer.Option(
            help="How it is computed here; faithful rounds as a device would.",
            show_default="faithful",
        ),
    ] = None,
    min_snr: Annotated[
        float | None,
        typer.Option(
            help="Least signal-to-noise ratio of each output in dB; exit code 3 below it.",
            show_default="none",
        ),
    ] = None,
    sort: Annotated[
        Order | None,
        typer.Option(help="Order of the rows: worst first, or as run.", show_default="snr"),
    ] = None,
    limit: Limit = None,
    device_report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What a check on a device wrote of a .pte (`etcoreml app check`): shows its "
            "figures beside this machine's.",
            show_default="none",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say how far each operation of MODEL and its outputs are from eager in fp32.

    With --device-report, say how far a device was, and how fast, beside this machine.
    """
    if device_report is not None:
        others = {
            "--etrecord": etrecord,
            "--input": inputs,
            "--precision": precision,
            "--numerics": numerics,
            "--sort": sort,
            "--limit": limit,
        }
        for option, value in others.items():
            if value is not None:
                raise UsageError(f"{option} does not go with --device-report")
        check_pte(Path(model))
        from etcoreml.cli.compare_device import compare_device

        if not compare_device(Path(model), device_report, min_snr, json):
            raise typer.Exit(CompareError.exit_code)
        return
    refuse_bundle(model, "compare", or_core_ml=False)
    is_pte = Path(model).suffix == ".pte"
    if is_pte:
        if etrecord is None:
            raise UsageError("a .pte is compared with its ETRecord: give --etrecord", found=model)
        if precision is not None:
            raise UsageError("--precision does not apply to a .pte", found=model)
        for path in (Path(model), etrecord):
            if not path.is_file():
                raise UsageError(f"there is no file '{path}'")
    elif etrecord is not None:
        raise UsageError("--etrecord is of a .pte", found=model, hint="MODEL gets one by itself.")
    from etcoreml.cli.inputs import input_files, unnamed_files

    files = unnamed_files(input_files(inputs or ()))
    with libraries(False):
        from etcoreml.cli.compare_program import compare_program

        found = compare_program(
            model,
            files,
            etrecord=etrecord,
            precision=precision or "float16",
            numerics=numerics,
        )
    from etcoreml.cli.compare_report import print_comparison

    print_comparison(model, found, min_snr, sort or "snr", limit, json)
    if min_snr is not None and found.worst_output_db < min_snr:
        raise typer.Exit(CompareError.exit_code)
