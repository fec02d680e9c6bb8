"""EfficientNet-Lite0, quantised in several ways: does it still see the same, how large, how fast.

``python -m benchmarks quantised`` lowers the network in every way, classifies the same pictures
with each on the portable engine, and prints a table: top-1 agreement with eager fp32, SNR of the
logits, bytes of the .pte as a share of fp32's, and latency beside the others. It writes
``bench-out/quantised.json``; ``--publish`` puts the table into docs/quantisation.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import interleaved, machine
from benchmarks.page import write
from benchmarks.pictures import crops
from etcoreml.cli.zoo import efficientnet_lite0
from etcoreml.imports import quiet_imports
from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig
from tests.lowering import CoreMLBackend, CoreMLPartitioner, Runtime, lower, snr_db, specs

with quiet_imports():
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from etcoreml.mil.ct import coremltools

OUTPUT = Path("bench-out/quantised.json")
PAGE = Path("docs/quantisation.md")
CROPS, CALIBRATION_CROPS = 13, 3  # of each of 16 pictures
ROUNDS = 40
# Weights of depthwise convolutions and of the first blocks have fewer elements than this. They are
# 6 % of all, and the network does not survive 4 bits for them.
_THRESHOLD = 30_000
_WEIGHTS = {"activation_dtype": "float32"}
_INT4 = {**_WEIGHTS, "weight_dtype": "qint4"}


@dataclass(frozen=True)
class Way:
    """One way to lower the network.

    Attributes:
        target: Oldest system that runs it.
        quantizer: Settings of ``CoreMLQuantizer`` for a network, None without.
        compression: Steps of ``weight_compression``.
        precision: Of the arithmetic.
    """

    target: str
    quantizer: Callable[[nn.Module], dict[str, Any]] | None = None
    compression: list[dict[str, Any]] | None = None
    precision: str = "float16"


def small_in_int8(module: nn.Module) -> dict[str, Any]:
    """int4 for large weights, int8 for the others."""
    small = [
        name
        for name, each in module.named_modules()
        if isinstance(each, (nn.Conv2d, nn.Linear)) and each.weight.numel() < _THRESHOLD
    ]
    return {"global_config": _INT4, "module_name_configs": dict.fromkeys(small, _WEIGHTS)}


WAYS: Mapping[str, Way] = {
    "fp32": Way("iOS17", precision="float32"),
    "fp16": Way("iOS17"),
    "int8 static (PT2E)": Way("iOS17", lambda module: {"global_config": {}}),
    "int8 weights (PT2E)": Way("iOS17", lambda module: {"global_config": _WEIGHTS}),
    "int4 weights, small ones int8 (PT2E)": Way("iOS18", small_in_int8),
    "4-bit palettes, small weights fp16": Way(
        "iOS17",
        compression=[
            {
                "config_type": "OpPalettizerConfig",
                "global_config": {"mode": "kmeans", "nbits": 4, "weight_threshold": _THRESHOLD},
            }
        ],
    ),
}


def quantized(module: nn.Module, settings: Mapping[str, Any], pictures: Tensor) -> nn.Module:
    """Return a module after PT2E, calibrated with pictures."""
    exported = torch.export.export(module, (pictures[:1],)).module()
    config = LinearQuantizerConfig.from_dict(dict(settings))
    prepared = prepare_pt2e(exported, CoreMLQuantizer(config))
    with torch.inference_mode():
        for picture in pictures.split(1):
            prepared(picture)
    return convert_pt2e(prepared)


def program(module: nn.Module, way: Way, pictures: Tensor) -> bytes:
    """Return the .pte of a network lowered in one way, whole."""
    if way.quantizer is not None:
        module = quantized(module, way.quantizer(module), pictures)
    target = coremltools().target[way.target]
    compile_specs = specs(way.precision, minimum_deployment_target=target)
    if way.compression is not None:
        compile_specs.append(
            CoreMLBackend.generate_weight_compression_compile_spec(way.compression)
        )
    partitioner = CoreMLPartitioner(compile_specs=compile_specs, lower_full_graph=True)
    return lower(module, (pictures[:1],), partitioner=partitioner)


def measure(ways: Mapping[str, Way], each: int = CROPS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Lower in every way and compare.

    Args:
        ways: What to compare; sizes are shares of the first.
        each: Crops of a picture, of 16 pictures.
        rounds: Of timing.
    """
    module, _ = efficientnet_lite0()
    pictures, calibration = crops(each, seed=0), crops(CALIBRATION_CROPS, seed=1)
    with torch.inference_mode():
        expected = torch.cat([module(some) for some in pictures.split(16)])
    results: dict[str, dict[str, Any]] = {}
    calls: dict[str, Callable[[], object]] = {}
    alive = []  # a method does not keep its program
    for name, way in ways.items():
        data = program(module, way, calibration)
        loaded = Runtime.get().load_program(data)
        method = loaded.load_method("forward")
        alive.append(loaded)
        actual = torch.cat([method.execute((one,))[0].clone() for one in pictures.split(1)])
        results[name] = {
            "target": way.target,
            "nbytes": len(data),
            "agreement": float((actual.argmax(1) == expected.argmax(1)).float().mean()),
            "snr_db": snr_db(actual, expected),
        }
        print(name, results[name], flush=True)
        calls[name] = lambda method=method: method.execute((pictures[:1],))
    latency = interleaved(calls, rounds=rounds, batch=1) if rounds else {}
    for name, seconds in latency.items():
        results[name]["latency_s"] = seconds["median"]
    return {"machine": machine(), "pictures": len(pictures), "ways": results}


def table(document: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    ways = document["ways"]
    base = next(iter(ways.values()))
    lines = [
        (
            "| weights and activations | target | top-1 agreement | SNR, dB | .pte, MB | x fp32 "
            "| latency, x fp32 |"
        ),
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in ways.items():
        latency = "-"
        if "latency_s" in row:
            latency = f"{row['latency_s'] / base['latency_s']:.2f}"
        lines.append(
            f"| {name} | {row['target']} | {row['agreement']:.1%} | {row['snr_db']:.1f} "
            f"| {row['nbytes'] / 1e6:.2f} | {row['nbytes'] / base['nbytes']:.3f} | {latency} |"
        )
    return "\n".join(lines) + "\n"


def figures(document: Mapping[str, Any]) -> str:
    """Return the table, after a line that says what it was measured with."""
    about = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    preface = (
        f"{document['pictures']} pictures; {about['processor']}, {about['cores']} cores; "
        f"{versions}. Not run on Core ML.\n\n"
    )
    return preface + table(document)


def main(*, quick: bool = False, publish: bool = False) -> None:
    """Measure, print and write."""
    # executorch uses what torch deprecates.
    warnings.simplefilter("ignore", FutureWarning)
    document = measure(WAYS, each=1 if quick else CROPS, rounds=5 if quick else ROUNDS)
    print(f"\n{document['pictures']} pictures, beside eager fp32; not run on Core ML\n")
    print(table(document))
    write(document, OUTPUT, figures(document), PAGE if publish else None)
