"""What the bridge costs: a 16-float add through the stock runtime, ours beside XNNPACK.

``python -m benchmarks.bridge`` prints a table and writes ``bench-out/bridge.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime

import etcoreml
from benchmarks.measure import interleaved, machine
from etcoreml.compiler import CoreMLBackend
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner

OUTPUT = Path("bench-out/bridge.json")


class Add(torch.nn.Module):
    """``x + y``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Add two tensors."""
        return x + y


def _program(*partitioners: object) -> bytes:
    exported = torch.export.export(Add(), (torch.randn(16), torch.randn(16)))
    edge = to_edge_transform_and_lower(exported, partitioner=list(partitioners))
    return edge.to_executorch().buffer


def _bind(execute: Callable[[object], object], inputs: object) -> Callable[[], object]:
    return lambda: execute(inputs)


def main(rounds: int = 400) -> None:
    """Measure, print and write.

    Args:
        rounds: Turns of 50 calls for each contestant.
    """
    precision = coremltools().precision.FLOAT32
    specs = CoreMLBackend.generate_compile_specs(compute_precision=precision)
    programs = {
        "etcoreml": _program(CoreMLPartitioner(compile_specs=specs)),
        "XNNPACK": _program(XnnpackPartitioner()),
        "portable kernel": _program(),
    }
    inputs = (torch.randn(16), torch.randn(16))
    runtime = Runtime.get()
    loaded = {name: runtime.load_program(data) for name, data in programs.items()}
    methods = {name: program.load_method("forward") for name, program in loaded.items()}
    for method in methods.values():
        torch.testing.assert_close(method.execute(inputs)[0], inputs[0] + inputs[1])
    facade = etcoreml.load(programs["etcoreml"])
    calls = {f"{name}, Method.execute": _bind(m.execute, inputs) for name, m in methods.items()}
    calls["etcoreml, Program.forward"] = lambda: facade.forward(*inputs)
    calls["torch eager"] = lambda: inputs[0] + inputs[1]
    results = interleaved(calls, rounds=rounds, batch=50)
    peer = results["XNNPACK, Method.execute"]["median"]
    print(f"{'16-float add':<34}{'median us':>10}{'min us':>10}{'x XNNPACK':>11}")
    for name, row in results.items():
        median, least = row["median"], row["min"]
        print(f"{name:<34}{median * 1e6:10.2f}{least * 1e6:10.2f}{median / peer:11.2f}")
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({"machine": machine(), "seconds": results}, indent=2) + "\n")
    print(f"written: {OUTPUT}")


if __name__ == "__main__":
    main()
