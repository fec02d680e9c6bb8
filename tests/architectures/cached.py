"""Architectures that remember: keys and values of earlier tokens in mutable buffers."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache, StaticCache

from tests.architectures.audio import whisper_config
from tests.architectures.model import Inputs, Model, Outputs, family, floats, tokens
from tests.architectures.text import DECODER

_LONGEST = 16


class _Attention(nn.Module):
    """Attention of one token over a cache that a one-hot input writes to."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.last = nn.Linear(width, width), nn.Linear(width, width)
        shape = (1, heads, _LONGEST, width // heads)
        self.register_buffer("keys", torch.zeros(shape))
        self.register_buffer("values", torch.zeros(shape))

    def forward(self, x: Tensor, slot: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            each(x).view(1, 1, self.heads, -1).transpose(1, 2)
            for each in (self.query, self.key, self.value)
        )
        self.keys.mul_(1 - slot).add_(key * slot)
        self.values.mul_(1 - slot).add_(value * slot)
        found = nn.functional.scaled_dot_product_attention(query, self.keys, self.values, mask)
        return self.last(found.transpose(1, 2).reshape(1, 1, -1))


def kv_cache_attn() -> Model:
    def inputs(step: int) -> Inputs:
        places = torch.arange(_LONGEST)
        slot = (places == step).float().reshape(1, 1, -1, 1)
        mask = torch.where(places <= step, 0.0, -1e4).reshape(1, 1, 1, -1)
        return floats(1, 1, 32, seed=step), slot, mask

    return Model(Outputs(_Attention()), inputs, steps=4)


class _Cached(nn.Module):
    """A decoder whose static cache is in buffers of this module.

    Args:
        model: The decoder.
        config: Its configuration.
    """

    def __init__(self, model: nn.Module, config: Any) -> None:
        super().__init__()
        self.model = model
        self.cache = StaticCache(config=config, max_cache_len=_LONGEST)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        self.cache.early_initialization(1, heads, width, torch.float32, torch.device("cpu"))
        for index, layer in enumerate(self.cache.layers):
            self.register_buffer(f"keys_{index}", layer.keys)
            self.register_buffer(f"values_{index}", layer.values)
            self.register_buffer(f"length_{index}", layer.cumulative_length)

    def bound(self) -> StaticCache:
        """Return the cache over the buffers, which export and copies replace."""
        for index, layer in enumerate(self.cache.layers):
            layer.keys = getattr(self, f"keys_{index}")
            layer.values = getattr(self, f"values_{index}")
            layer.cumulative_length = getattr(self, f"length_{index}")
        return self.cache


class _Causal(_Cached):
    def forward(self, ids: Tensor, position: Tensor) -> Tensor:
        found = self.model(
            input_ids=ids,
            position_ids=position.unsqueeze(0),
            cache_position=position,
            past_key_values=self.bound(),
            use_cache=True,
        )
        return found.logits


def _token(step: int) -> Inputs:
    return tokens(1, 1, seed=step), torch.tensor([step])


def llama_cached() -> Model:
    config = transformers.LlamaConfig(**DECODER)
    return Model(Outputs(_Causal(transformers.LlamaForCausalLM(config), config)), _token, steps=4)


def qwen3_cached() -> Model:
    config = transformers.Qwen3Config(**DECODER)
    return Model(Outputs(_Causal(transformers.Qwen3ForCausalLM(config), config)), _token, steps=4)


def gpt2_cached() -> Model:
    config = transformers.GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=2, n_head=4)
    return Model(Outputs(_Causal(transformers.GPT2LMHeadModel(config), config)), _token, steps=4)


class _Listening(_Cached):
    def forward(self, ids: Tensor, position: Tensor, states: Tensor) -> Tensor:
        cache = EncoderDecoderCache(self.bound(), DynamicCache())
        found = self.model(
            input_ids=ids,
            position_ids=position.unsqueeze(0),
            cache_position=position,
            encoder_hidden_states=states,
            past_key_values=cache,
            use_cache=True,
        )
        return found.last_hidden_state


def whisper_cached() -> Model:
    config = whisper_config()
    decoder = transformers.WhisperModel(config).decoder
    return Model(
        Outputs(_Listening(decoder, config)),
        lambda step: (*_token(step), floats(1, 20, 32)),
        steps=4,
    )


CACHED = family(kv_cache_attn, llama_cached, qwen3_cached, gpt2_cached, whisper_cached)
