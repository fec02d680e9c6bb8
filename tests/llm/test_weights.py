"""Weights as integers. Oracle: rounding to the grid that the docstring names, in PyTorch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from etcoreml.errors import CheckpointError
from etcoreml.llm.config import DecoderConfig
from etcoreml.llm.export import ExportOptions, make_decoder
from etcoreml.llm.weights import BLOCK
from tests.llm.folders import model


def config() -> DecoderConfig:
    return DecoderConfig.from_dict(model("smollm").config.to_dict())


@pytest.mark.parametrize(("weights", "levels", "size"), [("int8", 127.5, 0), ("int4", 7.5, BLOCK)])
def test_grid(weights: str, levels: float, size: int) -> None:
    options = ExportOptions(context=512)
    exact = make_decoder(config(), options, None)
    rounded = make_decoder(config(), replace(options, weights=weights), None)  # type: ignore[arg-type]
    for name in ("embedding", "blocks.1.qkv", "blocks.0.mlp.down"):
        weight = exact.get_submodule(name).weight
        weight = weight.unflatten(1, (-1, size or weight.shape[1]))
        step = weight.abs().amax(-1, keepdim=True) / levels
        found = rounded.get_submodule(name).weight.dequantize().view(weight.shape)
        assert ((found - weight).abs() <= step * 1.01).all(), name
        assert not torch.equal(found, weight)


def test_blocks_that_do_not_divide() -> None:
    odd = replace(config(), intermediate_size=100)
    with pytest.raises(CheckpointError, match=r"blocks\.0\.mlp\.down does not divide; found 100"):
        make_decoder(odd, ExportOptions(context=512, weights="int4"), None)
