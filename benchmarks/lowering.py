"""What lowering costs, beside executorch's own Core ML backend.

``python -m benchmarks.lowering [NETWORK ...]`` prints a table and writes
``bench-out/lowering.json``. Each measurement is a process of its own with one torch thread, the
backends taking turns; figures are CPU seconds (user and system, all threads), medians of five.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import machine

OUTPUT = Path("bench-out/lowering.json")
ROUNDS = 5
BACKENDS = {"ours": "etcoreml", "upstream": "executorch.backends.apple.coreml"}
_STATUS = Path("/proc/self/status")


def _bert_base() -> tuple[Any, tuple[Any, ...]]:
    from tests.models.full_size import bert_base

    return bert_base()


def _resnet50() -> tuple[Any, tuple[Any, ...]]:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    from tests.networks import Logits

    network = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()
    return Logits(network, "logits"), (torch.randn(1, 3, 224, 224),)


def _one_op() -> tuple[Any, tuple[Any, ...]]:
    import torch

    return torch.nn.ReLU(), (torch.randn(1, 16),)


def _many_layers() -> tuple[Any, tuple[Any, ...]]:
    import torch

    layers = [each for _ in range(400) for each in (torch.nn.Linear(16, 16), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers).eval(), (torch.randn(1, 16),)


NETWORKS: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {
    "BERT base, 128 tokens": _bert_base,
    "ResNet-50": _resnet50,
    "one op": _one_op,
    "400 x (Linear + ReLU)": _many_layers,
}
LIMITS = {
    ("BERT base, 128 tokens", "total_s"): 0.7,
    ("BERT base, 128 tokens", "core_ml_s"): 0.4,
    ("ResNet-50", "total_s"): 0.7,
    ("ResNet-50", "core_ml_s"): 0.4,
    ("400 x (Linear + ReLU)", "total_s"): 0.7,
}
"""At most so many times what upstream needs."""


def measure_here(network: str, backend: str) -> dict[str, float]:
    """Lower a network in this process and return what it cost."""
    warnings.simplefilter("ignore")
    import importlib

    import torch
    from executorch.exir import to_edge_transform_and_lower

    torch.set_num_threads(1)
    partition = importlib.import_module(f"{BACKENDS[backend]}.partition")
    compiler = importlib.import_module(f"{BACKENDS[backend]}.compiler")
    module, inputs = NETWORKS[network]()
    program = torch.export.export(module, inputs)
    nbytes = sum(each.nbytes for each in program.state_dict.values())
    spent = _timed(compiler.CoreMLBackend, "preprocess_multimethod")
    base = _memory("VmRSS")
    with contextlib.suppress(OSError):  # the high-water mark starts anew
        Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    edge = to_edge_transform_and_lower(program, partitioner=[partition.CoreMLPartitioner()])
    lowered = time.process_time()
    size = len(edge.to_executorch().buffer)
    return {
        "total_s": lowered - start,
        "core_ml_s": sum(spent),
        "to_executorch_s": time.process_time() - lowered,
        "peak_nbytes": _memory("VmHWM") - base,
        "weights_nbytes": nbytes,
        "pte_nbytes": size,
    }


def _timed(owner: type, name: str) -> list[float]:
    """Replace a class method by one that notes its CPU seconds in the list returned."""
    original = getattr(owner, name)
    spent: list[float] = []

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return original(*args, **kwargs)
        finally:
            spent.append(time.process_time() - start)

    setattr(owner, name, staticmethod(timed))
    return spent


def _memory(field: str) -> float:
    """Return a field of this process's memory in bytes; NaN where the system has no such file."""
    if not _STATUS.exists():
        return float("nan")
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else float("nan")


def _measurements(network: str, rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    for _ in range(rounds):
        for backend in BACKENDS:
            command = [sys.executable, "-m", "benchmarks.lowering", "--here", backend, network]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            yield backend, json.loads(done.stdout.splitlines()[-1])


def compare(network: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of each backend."""
    rows: dict[str, list[dict[str, float]]] = {backend: [] for backend in BACKENDS}
    for backend, row in _measurements(network, rounds):
        rows[backend].append(row)
    return {
        backend: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for backend, found in rows.items()
    }


def main(names: list[str] | None = None, rounds: int = ROUNDS) -> None:
    """Measure, print and write."""
    print(f"{'CPU seconds, ours / upstream':<28}{'lowering':>22}{'Core ML part':>26}{'peak':>18}")
    results = {}
    for name in names or NETWORKS:
        result = results[name] = compare(name, rounds)
        print(f"{name:<28}", end="")
        for key in ("total_s", "core_ml_s"):
            ours, theirs = (result[backend][key] for backend in BACKENDS)
            text = f"{ours:.2f} / {theirs:.2f} = {ours / theirs:.2f}"
            limit = LIMITS.get((name, key))
            print(f"{text + (f' (<= {limit})' if limit else ''):>26}", end="")
        peaks = (
            row["peak_nbytes"] / row["weights_nbytes"]
            for row in result.values()
            if row["weights_nbytes"]
        )
        print("   " + " / ".join(f"{each:.2f}x" for each in peaks), flush=True)
    OUTPUT.parent.mkdir(exist_ok=True)
    document = {"machine": machine(), "rounds": rounds, "networks": results}
    OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written: {OUTPUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--here", choices=BACKENDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure_here(options.networks[0], options.here)))
    else:
        main(options.networks, options.rounds)
