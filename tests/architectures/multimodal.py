"""Architectures that take more than one kind of input."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from tests.architectures.model import Inputs, Model, Outputs, batch_of, family, floats, tokens
from tests.architectures.text import SMALL
from tests.architectures.vision import VIT

_TEXT: dict[str, Any] = SMALL | {"max_position_embeddings": 16}


def _pair(batch: int) -> Inputs:
    return tokens(batch, 10), floats(batch, 3, 32, 32)


_PAIR = (batch_of()[0], batch_of()[0])


def clip() -> Model:
    config = transformers.CLIPConfig(
        text_config=_TEXT | {"eos_token_id": 2}, vision_config=VIT, projection_dim=16
    )
    gives = "logits_per_image text_embeds image_embeds"
    module = Outputs(transformers.CLIPModel(config), "input_ids pixel_values", gives)
    return Model(module, _pair, dynamic=_PAIR)


def siglip() -> Model:
    config = transformers.SiglipConfig(text_config=_TEXT, vision_config=VIT)
    gives = "logits_per_image text_embeds image_embeds"
    module = Outputs(transformers.SiglipModel(config), "input_ids pixel_values", gives)
    return Model(module, _pair, dynamic=_PAIR)


def clipseg() -> Model:
    config = transformers.CLIPSegConfig(
        text_config=_TEXT | {"eos_token_id": 2},
        vision_config=VIT,
        projection_dim=16,
        extract_layers=[0, 1],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    model = transformers.CLIPSegForImageSegmentation(config)
    return Model(Outputs(model, "input_ids pixel_values", "logits"), _pair)


def layoutlm() -> Model:
    config = transformers.LayoutLMConfig(**SMALL, max_2d_position_embeddings=64)

    def inputs(batch: int) -> Inputs:
        corners = tokens(batch, 20, vocabulary=60).reshape(batch, 10, 2)
        return tokens(batch, 10), torch.cat([corners, corners + 3], -1)

    module = Outputs(transformers.LayoutLMModel(config), "input_ids bbox", "last_hidden_state")
    return Model(module, inputs, dynamic=_PAIR)


MULTIMODAL = family(clip, siglip, clipseg, layoutlm)
