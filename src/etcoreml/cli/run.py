"""``etcoreml run``: a program or a Core ML model on this machine, timed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import etcoreml
from etcoreml.atomic import write_atomic
from etcoreml.choices import Numerics
from etcoreml.cli.model_paths import CORE_ML, check_applicable, check_model_path
from etcoreml.cli.options import (
    Json,
    Mean,
    ModelFile,
    NamedInputs,
    Seed,
    Std,
    Threads,
    UnitHere,
    Warmup,
)
from etcoreml.cli.outputs import check_writable
from etcoreml.errors import UsageError


def run(
    model: ModelFile,
    inputs: NamedInputs = None,
    method: Annotated[
        str | None,
        typer.Option(help="The method of a .pte to run.", show_default="forward"),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            help="The function of a Core ML model to run.", show_default="the model's own default"
        ),
    ] = None,
    compute_unit: UnitHere = None,
    numerics: Annotated[
        Numerics | None,
        typer.Option(
            help="How a Core ML model computes: with fp16 weights in f32; with every fp16 value "
            "rounded; in bf16 if the CPU can.",
            show_default="fast",
        ),
    ] = None,
    threads: Threads = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Predictions that a stateful Core ML model makes in a row, on the same inputs; "
            "the outputs are those of the last.",
            show_default="1",
        ),
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Timed runs.")] = 10,
    warmup: Warmup = 2,
    mean: Mean = 0.0,
    std: Std = 255.0,
    seed: Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.npz",
            help="Write all outputs to this .npz.",
            show_default="none",
        ),
    ] = None,
    purge_models_cache: Annotated[
        bool, typer.Option("--purge-models-cache", help="Delete all compiled models first.")
    ] = False,
    json: Json = False,
) -> None:
    """Run MODEL here and say what came out and how long it took."""
    if std == 0:
        raise UsageError("--std must not be zero")
    check_model_path(model, "run")
    is_core_ml = model.suffix in CORE_ML
    check_applicable(
        model,
        of_a_pte={"--method": method},
        of_core_ml={
            "--function": function,
            "--numerics": numerics,
            "--threads": threads,
            "--steps": steps,
        },
    )
    if output is not None:
        check_writable(output, ".npz")
    from etcoreml.cli.inputs import input_files, unnamed_files

    files = input_files(inputs or ())
    if purge_models_cache:
        etcoreml.purge_models_cache()
    common: dict[str, Any] = {
        "mean": mean,
        "std": std,
        "seed": seed,
        "warmup": warmup,
        "iterations": iterations,
    }
    details: dict[str, Any]
    if is_core_ml:
        from etcoreml.cli.run_model import run_model

        outputs, times_ms, where, details = run_model(
            model,
            files,
            function=function,
            compute_unit=compute_unit or "all",
            numerics=numerics or "fast",
            threads=threads,
            steps=steps,
            **common,
        )
        callee = "predict()" if details["function"] == "main" else f"{details['function']}()"
    else:
        from etcoreml.cli.run_program import run_program

        method = method or "forward"
        unnamed = unnamed_files(files)
        outputs, times_ms, where = run_program(
            model, unnamed, method=method, compute_unit=compute_unit, **common
        )
        callee, details = f"{method}()", {"method": method}
    from etcoreml.cli.run_report import Result, as_arrays, report

    if output is not None:
        import numpy as np

        arrays = as_arrays(outputs)
        write_atomic(output, lambda file: np.savez(file, **arrays))
    given = ", ".join(inputs) if inputs else f"random inputs, seed {seed}"
    report(Result(model, callee, given, outputs, times_ms, where, output, details), json)
