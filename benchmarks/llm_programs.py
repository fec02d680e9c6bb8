"""One language model as a .pte in one form: ``python -m benchmarks.llm_programs FORM FOLDER``.

A Llama-shaped decoder of 100 million random weights, exported by ``etcoreml.llm``. XNNPACK gets the
same module, methods and cache; its 4-bit form is the one that ExecuTorch's own Llama recipe uses,
8-bit activations and 4-bit weights in groups of 32.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etcoreml.atomic import write_atomic
from etcoreml.imports import quiet_imports
from etcoreml.llm.config import DecoderConfig
from etcoreml.llm.export import (
    ExportOptions,
    constants,
    exported,
    lowered,
    make_decoder,
    partitioner,
)
from etcoreml.llm.rope import Rope

with quiet_imports():
    import torch

CONTEXT, CHUNK = 512, 64
PROGRAM, ABOUT = "model.pte", "about.json"

CONFIG = DecoderConfig(
    family="llama",
    vocab_size=16000,
    hidden_size=768,
    intermediate_size=2048,
    layers=12,
    heads=12,
    kv_heads=4,
    head_dim=64,
    rms_norm_eps=1e-5,
    rope=Rope(theta=10000.0),
    max_positions=2048,
    tied=False,
    qkv_bias=False,
    output_bias=False,
    mlp_bias=False,
    qk_norm=False,
    bos=None,
    eos=(),
)

Write = Callable[[Any], object]


def _ours(weights: Any, cache: Any = "io") -> Write:
    options = ExportOptions(cache=cache, weights=weights, context=CONTEXT, chunk=CHUNK)
    programs = exported(make_decoder(CONFIG, options, None), options)
    return lowered(programs, [partitioner(programs, options)], constants(CONFIG, options))


def _xnnpack(bits: int | None) -> Write:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
        XnnpackDynamicallyQuantizedPartitioner,
        XnnpackPartitioner,
    )
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig, PerGroup, quantize_

    options = ExportOptions(context=CONTEXT, chunk=CHUNK, precision="float32")
    decoder = make_decoder(CONFIG, options, None)
    partitioners: list[Any] = [XnnpackPartitioner()]
    if bits == 4:
        config = Int8DynamicActivationIntxWeightConfig(
            weight_dtype=torch.int4, weight_granularity=PerGroup(32)
        )
        quantize_(decoder, config)
        partitioners.insert(0, XnnpackDynamicallyQuantizedPartitioner())
    programs = exported(decoder, options)
    return lowered(programs, partitioners, constants(CONFIG, options))


FORMS: dict[str, Callable[[], Write]] = {
    "ours, int4": lambda: _ours("int4"),
    "ours, int4, cache as state": lambda: _ours("int4", "state"),
    "ours, int8": lambda: _ours("int8"),
    "ours, fp16": lambda: _ours("none"),
    "XNNPACK, 8da4w": lambda: _xnnpack(4),
    "XNNPACK, fp32": lambda: _xnnpack(None),
}
"""What is measured, by name; the first is what the goal is about."""


def main(form: str, folder: Path) -> None:
    """Lower and write."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    write = FORMS[form]()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PROGRAM, write)
    about = {
        "lowering_s": time.perf_counter() - start,
        "nbytes": (folder / PROGRAM).stat().st_size,
    }
    text = json.dumps(about).encode()
    write_atomic(folder / ABOUT, lambda file: file.write(text))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
