"""What lowering costs, beside executorch's own Core ML backend.

``python -m benchmarks.lowering [NETWORK ...]`` prints a table and writes
``bench-out/lowering.json``; ``--publish`` also docs/lowering-cost.md. Each measurement is a process
of its own with one torch thread, the backends taking turns; figures are CPU seconds (user and
system, all threads), medians of five.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import machine

OUTPUT = Path("bench-out/lowering.json")
PAGE = Path("docs/lowering-cost.md")
ROUNDS = 5
BACKENDS = {"ours": "etcoreml", "upstream": "executorch.backends.apple.coreml"}
_STATUS = Path("/proc/self/status")
_HEAVY = 10_000_000
"""Weights of so many bytes dominate the memory a lowering takes."""


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
ONE_OP_S = 0.35
"""At most so many CPU seconds for a network of one op."""
MEMORY = 2.2
"""At most so many times the fp32 weights, of memory above what was in use before."""


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


def main(names: list[str] | None = None, rounds: int = ROUNDS, *, publish: bool = False) -> None:
    """Measure, print and write.

    Args:
        names: Networks; all of them unless given.
        rounds: Measurements of each backend.
        publish: Write the table to docs/lowering-cost.md too.
    """
    load = os.getloadavg()[0]
    results = {}
    for name in names or NETWORKS:
        results[name] = compare(name, rounds)
        print(" | ".join(_row(name, results[name])), flush=True)
    OUTPUT.parent.mkdir(exist_ok=True)
    document = {"machine": machine(), "load": load, "rounds": rounds, "networks": results}
    _write(OUTPUT, json.dumps(document, indent=2) + "\n")
    print(f"written: {OUTPUT}")
    if publish:
        _write(PAGE, render(document))
        print(f"written: {PAGE}")


def _write(path: Path, text: str) -> None:
    from etcoreml.atomic import write_atomic  # not in the processes that measure

    write_atomic(path, lambda file: file.write(text.encode()))


def render(document: Mapping[str, Any]) -> str:
    """Return a document as a page of Markdown, with how far each goal is met."""
    about = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    header = ("", "lowering, CPU s", "Core ML part, CPU s", "peak memory / fp32 weights")
    rows = [header, ("---", "---:", "---:", "---:")]
    rows += [_row(name, result) for name, result in document["networks"].items()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"""# What lowering costs, beside executorch's own Core ML backend

Written by `python -m benchmarks.lowering --publish`: ours / executorch's = ratio, medians
of {document["rounds"]} processes each, which take turns, with the goal in parentheses. Lowering is
`to_edge_transform_and_lower`; the Core ML part is what it spends in the backend.

{about["processor"]}, {about["cores"]} cores, Python {about["python"]};
{versions}.
Load average before: {document["load"]:.1f}.

{table}
"""


def _row(name: str, result: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    cells = [name]
    for key in ("total_s", "core_ml_s"):
        ours, theirs = (result[backend][key] for backend in BACKENDS)
        text = f"{ours:.2f} / {theirs:.2f} = {ours / theirs:.2f}"
        limit = LIMITS.get((name, key))
        goals = [_met(ours / theirs, limit, "x")] if limit else []
        if (name, key) == ("one op", "total_s"):
            goals.append(_met(ours, ONE_OP_S, " s"))
        cells.append(" ".join([text, *goals]))
    peaks = [
        row["peak_nbytes"] / row["weights_nbytes"]
        for row in result.values()
        if row["weights_nbytes"] >= _HEAVY
    ]
    text = " / ".join(f"{each:.2f}" for each in peaks)
    cells.append(f"{text} {_met(peaks[0], MEMORY, 'x')}" if peaks else "-")
    return tuple(cells)


def _met(found: float, limit: float, unit: str) -> str:
    return f"(<= {limit}{unit}{'' if found <= limit else ', missed'})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--publish", action="store_true", help=f"write {PAGE}, of all networks only"
    )
    parser.add_argument("--here", choices=BACKENDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure_here(options.networks[0], options.here)))
    else:
        if options.publish and options.networks:
            parser.error("--publish is for a full run: without names of networks")
        main(options.networks, options.rounds, publish=options.publish)
