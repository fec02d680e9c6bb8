"""``coreml_executor_runner``: a .pte through the stock runtime, with the flags of Core ML's runner.

The flags and the files they name are those of ``examples/apple/coreml/executor_runner`` (executorch
1.5.1); ``--input``, ``--method`` and ``--seed`` are ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import etcoreml
from etcoreml.cli import render
from etcoreml.cli.app import run_app
from etcoreml.cli.options import Inputs
from etcoreml.cli.outputs import check_directory
from etcoreml.errors import UsageError

app = typer.Typer(
    name="coreml_executor_runner",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def executor_runner(
    model_path: Annotated[Path, typer.Option("--model_path", help="The .pte.", show_default=False)],
    iterations: Annotated[int, typer.Option("--iterations", min=1, help="Runs.")] = 1,
    purge_models_cache: Annotated[
        bool, typer.Option("--purge_models_cache", help="Delete all compiled models first.")
    ] = False,
    profile_model: Annotated[
        bool, typer.Option("--profile_model", help="Write an ETDump with the time of each op.")
    ] = False,
    etdump_path: Annotated[Path, typer.Option("--etdump_path", help="The ETDump.")] = Path(
        "etdump.etdp"
    ),
    debug_buffer_path: Annotated[
        Path, typer.Option("--debug_buffer_path", help="The values that the ETDump refers to.")
    ] = Path("debug_buffer.bin"),
    debug_buffer_size: Annotated[
        int, typer.Option("--debug_buffer_size", min=1, help="Bytes for the values of all runs.")
    ] = 1 << 20,
    dump_model_outputs: Annotated[
        bool, typer.Option("--dump_model_outputs", help="Keep the model's outputs.")
    ] = False,
    dump_intermediate_outputs: Annotated[
        bool,
        typer.Option(
            "--dump_intermediate_outputs", help="Keep the values of the delegates' ops, too."
        ),
    ] = False,
    inputs: Inputs = None,
    method: Annotated[
        str | None, typer.Option("--method", help="The method.", show_default="the first")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of random inputs.")] = 0,
) -> None:
    """Run a .pte here; its Core ML delegates run through OpenVINO, not on Core ML."""
    keeps_values = dump_model_outputs or dump_intermediate_outputs
    traces = profile_model or keeps_values
    if traces:
        check_directory(etdump_path)
    if keeps_values:
        check_directory(debug_buffer_path)
    if not model_path.is_file():
        raise UsageError(f"there is no file '{model_path}'")
    from etcoreml.cli.inputs import input_files, unnamed_files

    files = unnamed_files(input_files(inputs or ()))
    if purge_models_cache:
        etcoreml.purge_models_cache()
    from etcoreml.cli.run_program import method_inputs, start_threads, where
    from etcoreml.cli.timed import timed

    with render.stage("Loading torch and executorch"):
        from etcoreml.runtime import program as _runtime  # noqa: F401

        start_threads()
    program = etcoreml.load(
        model_path,
        enable_etdump=traces,
        debug_buffer_size=debug_buffer_size if keeps_values else 0,
        intermediate_outputs=dump_intermediate_outputs,
    )
    name = method or next(iter(program.methods))
    values = method_inputs(program, model_path, name, files, seed=seed)
    with render.stage(f"Compiling {model_path.name}"):
        program.load(name)
    with render.stage(f"Running it {render.counted(iterations, 'time')}", still=True):
        outputs, times_ms = timed(lambda: program.run(name, values), 0, iterations)
    counts = (render.counted(len(values), "input"), render.counted(len(outputs), "output"))
    facts = [
        ("method", f"{name}(), {', '.join(counts)}"),
        ("ran on", where()),
        ("first run", f"{times_ms[0]:.3f} ms"),
        ("fastest run", f"{min(times_ms):.3f} ms of {iterations}"),
    ]
    if traces:
        program.write_etdump_result_to_file(
            etdump_path, debug_buffer_path if keeps_values else None
        )
        facts.append(("ETDump", str(etdump_path)))
    if keeps_values:
        facts.append(("debug buffer", str(debug_buffer_path)))
    render.print_facts(facts)


def main() -> None:
    """Run the command line."""
    run_app(app, "coreml_executor_runner")
