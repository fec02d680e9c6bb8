"""``etcoreml run``: a .pte through the stock ExecuTorch runtime, timed."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from etcoreml.atomic import write_atomic
from etcoreml.cli import render
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
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run MODEL.pte here and say what came out and how long it took."""
    if std == 0:
        raise UsageError("--std must not be zero")
    if not model.is_file():
        raise UsageError(f"there is no file '{model}'")
    if model.suffix != ".pte":
        raise UsageError(f"cannot run '{model}'", found=model.suffix, expected="a .pte")
    with render.stage("Loading torch and executorch"):
        import etcoreml

        program = etcoreml.load(model)
    with render.stage(f"Compiling {model.name}"):
        program.load(method)
    signature = [(info.shape, info.dtype) for info in program.methods[method].inputs]
    from etcoreml.cli.inputs import random_inputs, read_inputs

    if inputs:
        values = read_inputs(inputs, [shape for shape, _ in signature], mean, std)
    else:
        values = random_inputs(signature, seed)
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
    _report(model, method, arrays, times, "files" if inputs else f"random, seed {seed}", json)


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
        numbers = array.astype(np.float64)
        summary |= {
            "min": float(numbers.min()),
            "max": float(numbers.max()),
            "mean": float(numbers.mean()),
            "argmax": int(numbers.argmax()),
        }
        if not np.isfinite(numbers).all():
            summary["not_finite"] = int((~np.isfinite(numbers)).sum())
    return summary


def _report(
    model: Path, method: str, arrays: list[Any], times: list[float], source: str, as_json: bool
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
                "iterations": len(times),
                "latency_ms": {name: round(value, 4) for name, value in latency.items()},
            }
        )
        return
    rows = [
        (
            i,
            tuple(each["shape"]),
            each["dtype"],
            *(f"{each[key]:.5g}" if key in each else "-" for key in ("min", "max", "mean")),
            each.get("argmax", "-"),
            each.get("not_finite", 0),
        )
        for i, each in enumerate(summaries)
    ]
    render.print_table(
        f"{model} {method}() with inputs: {source}",
        ("output>", "shape", "dtype", "min>", "max>", "mean>", "argmax>", "inf or nan>"),
        rows,
    )
    spread = (
        f"median {latency['median']:.3f} ms of {len(times)} runs, "
        f"quartiles {latency['first_quartile']:.3f} to {latency['third_quartile']:.3f}, "
        f"range {latency['min']:.3f} to {latency['max']:.3f}"
    )
    where = "this machine through OpenVINO; not run on Core ML"
    render.print_facts([("latency", spread), ("runs on", where)])
