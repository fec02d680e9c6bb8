"""``etcoreml run``: a .pte through the stock ExecuTorch runtime."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etcoreml.cli import render
from etcoreml.cli.timed import timed
from etcoreml.errors import UsageError


def run_program(
    model: Path,
    inputs: Sequence[Path],
    *,
    method: str,
    compute_unit: str | None,
    mean: float,
    std: float,
    seed: int,
    warmup: int,
    iterations: int,
) -> tuple[dict[str, Any], list[float], str]:
    """Run a method.

    Args:
        model: The .pte.
        inputs: A file for each input, in order; none for random ones.
        method: Its name.
        compute_unit: Where its delegates run; None for what it was lowered with.
        mean: Subtracted from a picture's pixels, in units of 0 to 255.
        std: A picture's pixels are divided by it.
        seed: Of random inputs.
        warmup: Runs before those that are timed.
        iterations: Timed runs.

    Returns:
        The outputs by position, the times in milliseconds, and what it ran on.

    Raises:
        UsageError: There is no such method, or an input cannot be read.
        ProgramError, ShapeError, DtypeError, DelegateError: It cannot be loaded or run.
    """
    with render.stage("Loading torch and executorch"):
        import etcoreml.runtime.program

        start_threads()
    program = etcoreml.load(model, compute_unit=compute_unit)
    values = method_inputs(program, model, method, inputs, seed=seed, mean=mean, std=std)
    with render.stage(f"Compiling {model.name}"):
        program.load(method)
    with render.stage(f"Running it {warmup + iterations} times", still=True):
        outputs, times_ms = timed(lambda: program.run(method, values), warmup, iterations)
    named = {f"output_{i}": _to_array(value) for i, value in enumerate(outputs)}
    return named, times_ms, where()


def method_inputs(
    program: Any,
    model: str | Path,
    method: str,
    paths: Sequence[Path],
    *,
    seed: int,
    mean: float = 0.0,
    std: float = 255.0,
) -> list[Any]:
    """Return inputs for a method of a program.

    Args:
        program: What `etcoreml.load` returned.
        model: What to call the program in an error.
        method: The method's name.
        paths: A file for each input, in order; none for random ones.
        seed: Of random inputs.
        mean: As of `run_program`.
        std: As of `run_program`.

    Raises:
        UsageError: There is no such method, or an input cannot be read.
    """
    from etcoreml.cli.inputs import random_inputs, read_inputs

    if method not in program.methods:
        raise UsageError(f"'{model}' has no method '{method}'", expected=", ".join(program.methods))
    signature = [(info.shape, info.dtype) for info in program.methods[method].inputs]
    return read_inputs(paths, signature, mean, std) if paths else random_inputs(signature, seed)


def start_threads() -> None:
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


def where() -> str:
    """Return what runs a program's delegates in this process, for people."""
    import etcoreml

    if etcoreml.bridge.registered:
        return "this machine, Core ML delegates through OpenVINO: not run on Core ML"
    return f"this machine: {etcoreml.bridge.reason}"
