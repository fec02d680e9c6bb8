"""``etcoreml run``: a .pte through the stock ExecuTorch runtime, timed."""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from etcoreml.atomic import write_atomic
from etcoreml.cli import render
from etcoreml.cli.outputs import check_writable
from etcoreml.errors import UsageError


def run(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.pte", help="The program.", show_default=False)
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            help="An input, in order: .npy, .pt, .png or .jpg. Repeatable.",
            show_default="random tensors",
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="The method to run.")] = "forward",
    iterations: Annotated[int, typer.Option(min=1, help="Timed runs.")] = 10,
    warmup: Annotated[int, typer.Option(min=0, help="Runs before those.")] = 2,
    mean: Annotated[
        float, typer.Option(help="Subtracted from a picture's pixels (0 to 255).")
    ] = 0.0,
    std: Annotated[float, typer.Option(help="A picture's pixels are divided by it.")] = 255.0,
    seed: Annotated[int, typer.Option(help="Seed of random inputs.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Write all outputs to this .npz.", show_default="none")
    ] = None,
    purge_models_cache: Annotated[
        bool, typer.Option("--purge-models-cache", help="Delete all compiled models first.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run MODEL.pte here and say what came out and how long it took."""
    if std == 0:
        raise UsageError("--std must not be zero")
    if not model.is_file():
        raise UsageError(f"there is no file '{model}'")
    if model.suffix != ".pte":
        found = model.suffix or "no suffix"
        raise UsageError(f"cannot run '{model}'", found=found, expected="a .pte")
    if output is not None:
        check_writable(output, ".npz")
    from etcoreml.cli.inputs import check_readable, random_inputs, read_inputs

    for path in inputs or ():
        check_readable(path)
    with render.stage("Loading torch and executorch"):
        import etcoreml.runtime.program

        _start_threads()
    if purge_models_cache:
        etcoreml.purge_models_cache()
    program = etcoreml.load(model)
    if method not in program.methods:
        raise UsageError(f"'{model}' has no method '{method}'", expected=", ".join(program.methods))
    signature = [(info.shape, info.dtype) for info in program.methods[method].inputs]
    values = read_inputs(inputs, signature, mean, std) if inputs else random_inputs(signature, seed)
    with render.stage(f"Compiling {model.name}"):
        program.load(method)
    with render.stage(f"Running it {warmup + iterations} times", still=True):
        for _ in range(warmup):
            program.run(method, values)
        times = []
        for _ in range(iterations):
            start = time.perf_counter()
            outputs = program.run(method, values)
            times.append((time.perf_counter() - start) * 1e3)
    arrays = [_to_array(value) for value in outputs]
    if output is not None:
        import numpy as np

        named = {f"output_{i}": array for i, array in enumerate(arrays)}
        write_atomic(output, lambda file: np.savez(file, **named))
    source = ", ".join(map(str, inputs)) if inputs else f"random inputs, seed {seed}"
    _report(model, method, arrays, times, source, output, json)


def _start_threads() -> None:
    """Start the runtime's thread pool, which prints what it fails to learn of the processor.

    It prints from C, so nothing less than standard error itself has to be elsewhere meanwhile.
    """
    from executorch.extension.pybindings import portable_lib

    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        portable_lib._threadpool_get_thread_count()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _to_array(value: Any) -> Any:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        # NumPy has no bfloat16
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def _summary(array: Any) -> dict[str, Any]:
    import numpy as np

    summary: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size:
        summary |= {
            "min": array.min().item(),
            "max": array.max().item(),
            "mean": float(array.mean(dtype=np.float64)),
            "argmax": int(array.argmax()),
        }
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            summary["not_finite"] = int((~np.isfinite(array)).sum())
    return summary


def _report(
    model: Path,
    method: str,
    arrays: list[Any],
    times: list[float],
    source: str,
    output: Path | None,
    as_json: bool,
) -> None:
    summaries = [_summary(array) for array in arrays]
    quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
    latency = {
        "median": statistics.median(times),
        "first_quartile": quartiles[0],
        "third_quartile": quartiles[2],
        "min": min(times),
        "max": max(times),
    }
    if as_json:
        render.print_json(
            {
                "program": str(model),
                "method": method,
                "inputs": source,
                "outputs": summaries,
                "written": None if output is None else str(output),
                "iterations": len(times),
                "latency_ms": {name: round(value, 4) for name, value in latency.items()},
            }
        )
        return
    strange = any("not_finite" in each for each in summaries)
    rows = [
        (
            i,
            tuple(each["shape"]),
            each["dtype"],
            *(f"{each[key]:.4g}" if key in each else "-" for key in ("min", "max", "mean")),
            each.get("argmax", "-"),
            *((each.get("not_finite", 0),) if strange else ()),
        )
        for i, each in enumerate(summaries)
    ]
    columns = ("output>", "shape", "dtype", "min>", "max>", "mean>", "argmax>")
    render.print_table(
        f"{method}() of {model} on {source}",
        (*columns, "inf, nan>") if strange else columns,
        rows,
    )
    typer.echo()
    spread = (
        f"median {latency['median']:.3f} ms of {len(times)} runs, "
        f"quartiles {latency['first_quartile']:.3f} to {latency['third_quartile']:.3f}, "
        f"range {latency['min']:.3f} to {latency['max']:.3f}"
    )
    facts = [("latency", spread), ("runs on", _where())]
    if output is not None:
        facts.append(("written", str(output)))
    render.print_facts(facts)


def _where() -> str:
    import etcoreml

    if etcoreml.bridge.registered:
        return "this machine, Core ML delegates through OpenVINO: not run on Core ML"
    return f"this machine: {etcoreml.bridge.reason}"
