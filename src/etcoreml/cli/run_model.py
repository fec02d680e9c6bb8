"""``etcoreml run``: a Core ML model through ``etcoreml.MLModel``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import etcoreml
from etcoreml.cli import render
from etcoreml.cli.model_inputs import random_values, read_values
from etcoreml.cli.timed import timed
from etcoreml.errors import UsageError
from etcoreml.mil import MilProgram
from etcoreml.runtime.described_model import MAIN, DescribedModel
from etcoreml.runtime.features import check_shapes
from etcoreml.runtime.model_files import ModelFiles

Files = Sequence[tuple[str | None, Path]]


def run_model(
    path: Path,
    files: Files,
    *,
    function: str | None,
    compute_unit: str,
    numerics: str,
    threads: int | None,
    steps: int | None,
    mean: float,
    std: float,
    seed: int,
    warmup: int,
    iterations: int,
) -> tuple[dict[str, Any], list[float], str, dict[str, Any]]:
    """Predict with a model.

    Args:
        path: The model.
        files: Name, if it was given, and file of inputs; none for random ones.
        function: Name of a function, as of `etcoreml.MLModel`.
        compute_unit: As of `etcoreml.MLModel`.
        numerics: As of `etcoreml.MLModel`.
        threads: As of `etcoreml.MLModel`.
        steps: Predictions in a row on one state; None for one.
        mean: Subtracted from the pixels of a picture for a tensor, in units of 0 to 255.
        std: Such pixels are divided by it.
        seed: Of random inputs.
        warmup: Runs before those that are timed.
        iterations: Timed runs.

    Returns:
        The outputs by name, the times in milliseconds, what it ran on, and what the JSON document
        says besides.

    Raises:
        UsageError: An input is unknown, missing or cannot be read.
        ModelError, EngineError: The model cannot be read or compiled.
        ShapeError, DtypeError: An input does not fit.
    """
    on_disk = ModelFiles(path)
    opened = on_disk.open()
    described = DescribedModel(on_disk, opened, function)
    signature = described.signature
    assert signature is not None
    if steps is not None and not signature.states:
        raise UsageError("--steps is for models with states", found=f"'{path}' has none")
    values = (
        read_values(files, signature.inputs, mean, std)
        if files
        else random_values(signature.inputs, seed)
    )
    if isinstance(opened, MilProgram):
        program = opened.functions[described.function_name or opened.default_function]
        check_shapes(values, signature.inputs, program)
    with render.stage(f"Compiling {path.name}"):
        model = etcoreml.MLModel(
            path,
            function_name=function,
            compute_units=compute_unit,
            numerics=numerics,
            threads=threads,
        )
    state = model.make_state() if signature.states else None
    with render.stage(f"Running it {render.counted(warmup + iterations, 'time')}", still=True):
        first = [model.predict(values, state) for _ in range(steps or 1)] if state else []
        last, times_ms = timed(lambda: model.predict(values, state), warmup, iterations)
    where = (
        f"this machine, {', '.join(model.devices)}, through OpenVINO, {numerics} numerics: "
        "not run on Core ML"
    )
    details = {
        "function": model.function_name or MAIN,
        "devices": list(model.devices),
        "numerics": numerics,
        "load_ms": round((model.load_duration_in_nano_seconds or 0) / 1e6, 3),
    }
    return first[-1] if first else last, times_ms, where, details
