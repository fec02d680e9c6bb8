"""Lowering a network to the bytes of a .pte, as users do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from etcoreml.imports import quiet_imports

# Warnings are errors in the tests, but what these libraries say while they are imported is theirs.
with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime as Runtime

    from etcoreml.compiler import CoreMLBackend
    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner


def specs(precision: str = "float32", **options: Any) -> list[Any]:
    """Compile specs for a precision, ``float16`` or ``float32``."""
    return CoreMLBackend.generate_compile_specs(
        compute_precision=coremltools().precision(precision), **options
    )


def lower(
    module: nn.Module | Mapping[str, nn.Module],
    inputs: tuple[Tensor, ...] | Mapping[str, tuple[Tensor, ...]],
    *,
    precision: str = "float32",
    dynamic_shapes: Any = None,
    partitioner: CoreMLPartitioner | None = None,
) -> bytes:
    """Export, lower and serialise one module, or one per method."""
    partitioner = partitioner or CoreMLPartitioner(compile_specs=specs(precision))
    if isinstance(module, nn.Module):
        assert isinstance(inputs, tuple)
        exported: Any = torch.export.export(module, inputs, dynamic_shapes=dynamic_shapes)
    else:
        assert isinstance(inputs, Mapping)
        exported = {name: torch.export.export(each, inputs[name]) for name, each in module.items()}
    edge = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    return bytes(edge.to_executorch().buffer)


def snr_db(actual: Tensor, expected: Tensor) -> float:
    """Signal-to-noise ratio in dB; infinite where the two are equal."""
    signal = expected.double().square().sum()
    noise = (actual.double() - expected.double()).square().sum()
    return float("inf") if noise == 0 else float(10 * torch.log10(signal / noise))
