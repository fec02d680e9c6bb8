"""``etcoreml profile``: a function of a Core ML model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from etcoreml.cli import render
from etcoreml.cli.model_inputs import random_values, read_values
from etcoreml.errors import UsageError
from etcoreml.mil import MilProgram
from etcoreml.runtime.model_files import ModelFiles
from etcoreml.runtime.traced_function import TracedFunction
from etcoreml.trace.cost import costs
from etcoreml.trace.events import UNATTRIBUTED, Event
from etcoreml.trace.profile import Profile, Profiled, cost_of

Files = Sequence[tuple[str | None, Path]]


def profile_model(
    path: Path,
    files: Files,
    *,
    function: str | None,
    compute_unit: str,
    numerics: str,
    threads: int | None,
    warmup: int,
    iterations: int,
    seed: int,
) -> Profile:
    """Profile a function; one with state keeps it from run to run.

    Args:
        path: The model.
        files: Name, if it was given, and file of inputs; none for random ones.
        function: Its name; the model's default if None.
        compute_unit: As of `etcoreml.MLModel`.
        numerics: As of `etcoreml.MLModel`.
        threads: As of `etcoreml.MLModel`.
        warmup: Runs before those that are measured.
        iterations: Measured runs.
        seed: Of random inputs.

    Raises:
        UsageError: The model is a pipeline, or an input is unknown or missing.
        EtCoreMLError: It cannot be read, compiled or run.
    """
    opened = ModelFiles(path).open()
    if not isinstance(opened, MilProgram):
        raise UsageError(f"'{path}' is a pipeline", hint="Profile its models one by one.")
    chosen = opened.function(function)
    seconds: dict[str, float] = {}
    with render.stage(f"Compiling {path.name}", seconds, "load_s"):
        traced = TracedFunction(
            opened, chosen, compute_unit=compute_unit, numerics=numerics, threads=threads
        )
    features = traced.features
    traced.bind(
        read_values(files, features, 0.0, 255.0) if files else random_values(features, seed)
    )
    with render.stage(f"Running it {render.counted(warmup + iterations, 'time')}", still=True):
        for _ in range(warmup):
            traced.run(time.perf_counter_ns)
        runs = [traced.run(time.perf_counter_ns) for _ in range(iterations)]
    known = costs(chosen)
    times: dict[str, list[float]] = {}
    for events in runs:
        for event in events:
            times.setdefault(event.name, []).append(_ms(event))
    metadata = {event.name: event.details for event in runs[-1]}
    operations = [
        Profiled(
            name=name,
            type=metadata[name]["operatorName"],
            times_ms=tuple(taken),
            cost=cost_of(name, metadata[name]["fusedWith"], known),
            kernel=metadata[name]["kernel"],
            fused_with=tuple(metadata[name]["fusedWith"]),
        )
        for name, taken in times.items()
        if name != UNATTRIBUTED
    ]
    whole = tuple((events[-1].end_ns - events[0].start_ns) / 1e6 for events in runs)
    where = f"this machine, {', '.join(traced.devices)}, through OpenVINO, {numerics} numerics"
    return Profile(
        tuple(operations),
        whole,
        tuple(times[UNATTRIBUTED]),
        {"function": chosen.name, "ran_on": f"{where}: not run on Core ML", **seconds},
    )


def _ms(event: Event) -> float:
    return (event.end_ns - event.start_ns) / 1e6
