"""PT2E from a module to a quantised one, as users write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from etcoreml.imports import quiet_imports
from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig

with quiet_imports():
    from torchao.quantization.pt2e.quantize_pt2e import (
        convert_pt2e,
        prepare_pt2e,
        prepare_qat_pt2e,
    )

WEIGHT_ONLY = {"activation_dtype": "float32"}


def prepared(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    settings: Mapping[str, Any],
    *,
    qat: bool = False,
    strict: bool = False,
) -> GraphModule:
    """Export and prepare a module.

    Args:
        module: In training mode for QAT.
        inputs: Example inputs.
        settings: Of ``LinearQuantizerConfig.from_dict``.
        qat: Whether for training.
        strict: As for ``torch.export.export``.
    """
    exported = torch.export.export(module, inputs, strict=strict).module()
    prepare = prepare_qat_pt2e if qat else prepare_pt2e
    return prepare(exported, CoreMLQuantizer(LinearQuantizerConfig.from_dict(dict(settings))))


def quantized(
    module: nn.Module, inputs: tuple[Tensor, ...], settings: Mapping[str, Any], **options: bool
) -> GraphModule:
    """As ``prepared``, calibrated with the example inputs and converted."""
    ready = prepared(module, inputs, settings, **options)
    ready(*inputs)
    return convert_pt2e(ready)


def calls(module: GraphModule) -> list[str]:
    """Return the ops of a graph in order, ``q`` and ``dq`` for those that quantise."""
    short = {"quantize_per_tensor": "q", "dequantize_per_tensor": "dq"}
    short.update(quantize_per_channel="q", dequantize_per_channel="dq")
    names = [
        node.target._schema.name.partition("::")[2]
        for node in module.graph.nodes
        if node.op == "call_function" and hasattr(node.target, "_schema")
    ]
    return [short.get(name, name) for name in names]
