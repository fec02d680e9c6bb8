"""``etcoreml profile``: where the time of a model goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from etcoreml.atomic import write_atomic
from etcoreml.choices import Numerics
from etcoreml.cli import render
from etcoreml.cli.model_paths import CORE_ML, check_any_model, check_applicable
from etcoreml.cli.options import (
    Function,
    Iterations,
    Json,
    Limit,
    Method,
    Model,
    NamedInputs,
    Seed,
    Threads,
    UnitHere,
    Warmup,
)
from etcoreml.cli.outputs import check_directory, check_writable
from etcoreml.cli.voices import libraries
from etcoreml.errors import UsageError

By = Literal["op", "type", "module"]


def profile(
    model: Model,
    inputs: NamedInputs = None,
    by: Annotated[By, typer.Option(help="What a row is; module needs an ETRecord.")] = "op",
    method: Method = None,
    function: Function = None,
    etrecord: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The ETRecord of a .pte: adds ATen nodes, modules and source lines.",
            show_default="none",
        ),
    ] = None,
    compute_unit: UnitHere = None,
    numerics: Annotated[
        Numerics | None,
        typer.Option(help="How a Core ML model computes.", show_default="fast"),
    ] = None,
    threads: Threads = None,
    iterations: Iterations = 20,
    warmup: Warmup = 3,
    seed: Seed = 0,
    limit: Limit = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Write the median run for Perfetto (ui.perfetto.dev).",
            show_default="none",
        ),
    ] = None,
    etdump: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the ETDump of a .pte.", show_default="none"),
    ] = None,
    json: Json = False,
) -> None:
    """Run MODEL here and say which operations take how long, and how near to the machine's best."""
    suffix = Path(model).suffix
    is_core_ml = suffix in CORE_ML
    check_any_model(model, "profile")
    check_applicable(
        model,
        of_a_pte={"--method": method, "--etrecord": etrecord, "--etdump": etdump},
        of_core_ml={"--function": function, "--numerics": numerics, "--threads": threads},
    )
    if etrecord is not None and not etrecord.is_file():
        raise UsageError(f"there is no file '{etrecord}'")
    if etrecord is not None and suffix != ".pte":
        raise UsageError("--etrecord is of a .pte", found=model, hint="MODEL gets one by itself.")
    if by == "module" and (is_core_ml or (suffix == ".pte" and etrecord is None)):
        hint = "Give --etrecord, which `etcoreml export --etrecord` writes."
        raise UsageError("--by module needs the modules of an ETRecord", hint=hint)
    if trace is not None:
        check_writable(trace, ".json")
    if etdump is not None:
        check_directory(etdump)
    from etcoreml.cli.inputs import input_files

    files = input_files(inputs or ())
    with libraries(False):
        if is_core_ml:
            from etcoreml.cli.profile_model import profile_model

            found = profile_model(
                Path(model),
                files,
                function=function,
                compute_unit=compute_unit or "all",
                numerics=numerics or "fast",
                threads=threads,
                warmup=warmup,
                iterations=iterations,
                seed=seed,
            )
        else:
            from etcoreml.cli.profile_program import profile_program

            found = profile_program(
                model,
                files,
                method=method or "forward",
                etrecord=etrecord,
                compute_unit=compute_unit,
                warmup=warmup,
                iterations=iterations,
                seed=seed,
                etdump=etdump,
            )
        with render.stage("Measuring what this machine can do"):
            from etcoreml.trace import roofline

            limits = roofline.measure()
    from etcoreml.cli.profile_report import print_profile, profile_document, trace_of

    if trace is not None:
        text = trace_of(found, model)
        write_atomic(trace, lambda file: file.write(text.encode()))
    if json:
        render.print_json(profile_document(model, found, limits))
    else:
        written = [("trace", trace), ("ETDump", etdump)]
        print_profile(model, found, limits, by, limit, [(a, str(b)) for a, b in written if b])
