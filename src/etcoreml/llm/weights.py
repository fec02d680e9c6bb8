"""How a decoder's weights are stored: as they are, or as integers of 8 or 4 bits.

torchao replaces each matrix by integers and scales before the export, so that the module in eager
computes with the very weights that the .pte holds.
"""

from __future__ import annotations

import torch
from torch import nn

from etcoreml.choices import WeightFormat
from etcoreml.errors import CheckpointError
from etcoreml.imports import quiet_imports
from etcoreml.llm.decoder import Decoder

BLOCK = 32
"""Columns that share a scale in ``int4``."""


def quantize_weights(decoder: Decoder, weights: WeightFormat) -> None:
    """Store the matrices of a decoder as integers, the embedding among them.

    Args:
        decoder: Changed in place.
        weights: ``int8``, symmetric, one scale per output channel; ``int4``, symmetric, one
            scale per 32 columns; ``none`` changes nothing.

    Raises:
        CheckpointError: ``int4``, and a matrix's columns are no multiple of 32.
    """
    if weights == "none":
        return
    with quiet_imports():
        from torchao.quantization import IntxWeightOnlyConfig, PerAxis, PerGroup, quantize_

    if weights == "int8":
        config = IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
    else:
        _check_columns(decoder)
        config = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(BLOCK))
    quantize_(decoder, config, lambda module, name: isinstance(module, (nn.Linear, nn.Embedding)))


def _check_columns(decoder: Decoder) -> None:
    for name, module in decoder.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)) and module.weight.shape[1] % BLOCK:
            raise CheckpointError(
                f"int4 weights share a scale between {BLOCK} columns, and {name} does not divide",
                found=f"{module.weight.shape[1]} columns",
                hint="Use int8 weights.",
            )
