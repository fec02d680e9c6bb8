"""Latency of whole networks through the stock runtime, beside torch eager.

``python -m benchmarks.models [NAME ...]`` prints a table and writes ``bench-out/models.json``. Both
sides run in this process, in turn, with their default threads, batch 1 and fp32 inputs; eager
computes in fp32, the lowered program with fp16 or fp32 weights.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import interleaved, machine
from tests.lowering import Runtime, lower, snr_db
from tests.models.full_size import FULL_SIZE

OUTPUT = Path("bench-out/models.json")
PRECISIONS = ("float16", "float32")
ROUNDS = 40


def measure(name: str) -> dict[str, Any]:
    """Lower one network in every precision and time it beside eager."""
    module, inputs = FULL_SIZE[name]()
    with torch.inference_mode():
        expected = module(*inputs)
    calls: dict[str, Callable[[], object]] = {"torch eager": lambda: module(*inputs)}
    programs: dict[str, dict[str, float]] = {}
    alive = []  # a method does not keep its program
    for precision in PRECISIONS:
        start = time.perf_counter()
        data = lower(module, inputs, precision=precision)
        lowered = time.perf_counter()
        program = Runtime.get().load_program(data)
        method = program.load_method("forward")
        loaded = time.perf_counter()
        alive.append(program)
        programs[precision] = {
            "nbytes": len(data),
            "lower_s": lowered - start,
            "load_s": loaded - lowered,
            "snr_db": snr_db(method.execute(inputs)[0], expected),
        }
        calls[precision] = lambda method=method: method.execute(inputs)
    with torch.inference_mode():
        seconds = interleaved(calls, rounds=ROUNDS, batch=1)
    eager = seconds["torch eager"]["median"]
    return {
        "programs": programs,
        "latency_s": seconds,
        "times_faster": {each: eager / seconds[each]["median"] for each in PRECISIONS},
    }


def main(names: list[str] | None = None) -> None:
    """Measure, print and write."""
    # executorch uses what torch deprecates.
    warnings.simplefilter("ignore", FutureWarning)
    print(f"{'latency through Method.execute':<32}{'torch eager':>13}", end="")
    print("".join(f"{f'{each} (SNR)':>22}{'x':>7}" for each in PRECISIONS))
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"(the machine is not idle: load average {load:.1f})")
    results = {}
    for name in names or FULL_SIZE:
        result = results[name] = measure(name)
        latency = {each: row["median"] * 1e3 for each, row in result["latency_s"].items()}
        print(f"{name:<32}{latency['torch eager']:10.2f} ms", end="")
        for each in PRECISIONS:
            snr = result["programs"][each]["snr_db"]
            print(f"{latency[each]:11.2f} ms {f'({snr:.0f} dB)'}", end="")
            print(f"{result['times_faster'][each]:6.2f}", end="")
        print(flush=True)
    OUTPUT.parent.mkdir(exist_ok=True)
    document = {
        "machine": machine(),
        "load_average_before": load,
        "rounds": ROUNDS,
        "networks": results,
    }
    OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written: {OUTPUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
