"""``etcoreml export-llm``: a Hugging Face folder in, a .pte that generates text out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etcoreml.choices import CacheForm, Precision, WeightFormat
from etcoreml.cli import render
from etcoreml.cli.options import Json, LoweredUnit, Verbose
from etcoreml.cli.outputs import check_writable
from etcoreml.cli.voices import libraries, steps
from etcoreml.errors import UsageError


def export_llm(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A folder with config.json and model.safetensors of a Llama, SmolLM, Qwen2 or "
            "Qwen3 model; or a config.json alone, whose weights are then random.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The .pte to write.", show_default="FOLDER.pte"),
    ] = None,
    cache: Annotated[
        CacheForm,
        typer.Option(
            help="Where keys and values are kept: io, by the caller, between methods prefill and "
            "decode; state, by Core ML, in one method forward."
        ),
    ] = "io",
    weights: Annotated[
        WeightFormat,
        typer.Option(
            help="Store matrices as they are, as int8 with a scale per channel, or as int4 with "
            "a scale per 32 columns."
        ),
    ] = "none",
    context: Annotated[
        int, typer.Option(min=512, max=4096, help="Tokens that prompt and text may have together.")
    ] = 2048,
    prefill: Annotated[
        int, typer.Option(min=2, help="Tokens of a prompt that are computed at once.")
    ] = 64,
    precision: Annotated[Precision, typer.Option(help="Compute precision.")] = "float16",
    compute_unit: LoweredUnit = "all",
    seed: Annotated[
        int | None, typer.Option(help="Seed of random weights.", show_default="0")
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Lower the language model MODEL to Core ML (iOS18) and write a .pte."""
    if not model.exists():
        raise UsageError(f"there is no '{model}'", expected="a folder or a config.json")
    folder = model if model.is_dir() else None
    if folder is not None and seed is not None:
        raise UsageError(
            "--seed is of random weights, and a folder has its own",
            found=f"the folder '{model}'",
            hint="Give its config.json alone.",
        )
    output = output or Path(f"{model.resolve().name.removesuffix('.json')}.pte")
    check_writable(output, ".pte")
    timings: dict[str, float] = {}
    with libraries(verbose):
        with render.stage("Loading torch, executorch and coremltools", timings, "import"):
            from etcoreml.atomic import write_atomic
            from etcoreml.llm.config import read_config
            from etcoreml.llm.export import ExportOptions, export_language_model

            config = read_config(model / "config.json" if folder else model)
            options = ExportOptions(cache, weights, context, prefill, precision, compute_unit)
        with (
            render.stage(f"Lowering {model} to Core ML", timings, "lower") as say,
            steps(say, printed=verbose),
        ):
            write = export_language_model(config, options, folder, seed or 0)
        with render.stage(f"Writing {output}", timings, "write"):
            write_atomic(output, write)
    if folder is None:
        render.print_note("the weights are random: the program shows speed, and writes nonsense")
    document: dict[str, Any] = {
        "output": str(output),
        "nbytes": output.stat().st_size,
        "family": config.family,
        "random_weights": folder is None,
        "cache": cache,
        "weights": weights,
        "context": context,
        "prefill": prefill,
        "precision": precision,
        "seconds": timings,
    }
    if json:
        render.print_json(document)
        return
    methods = "forward" if cache == "state" else "prefill, decode"
    render.print_facts(
        [
            ("written", f"{output}, {render.megabytes(document['nbytes'])}"),
            ("methods", methods),
            ("context", f"{context} tokens, {prefill} of a prompt at once"),
            ("weights", f"{weights if weights != 'none' else precision}"),
        ]
    )
