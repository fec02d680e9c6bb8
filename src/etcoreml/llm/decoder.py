"""The decoder that Llama, SmolLM, Qwen2 and Qwen3 share, written for Core ML.

Projections that read the same input are one matrix: fewer and larger products. Query heads that
share a key head are rows of one product, so that keys and values are never repeated. Positions
are an input, from which the causal mask and the rotations follow.

Two forms differ in where keys and values of earlier tokens are kept:

- `StatefulDecoder` keeps them in buffers, which become Core ML state.
- `FunctionalDecoder` takes them as inputs and returns those of its own tokens, which the caller
  writes into the cache; the cache itself is never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from etcoreml.llm.config import DecoderConfig

# Taken from the scores of tokens that must not be seen; fp16 holds it.
_UNSEEN = 1e4

# Rows with larger numbers are scaled down before they are squared: 256 squared is infinite in fp16.
_LARGEST_SQUARED = 8.0

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""From a layer's index, its queries ``(1, KV, G * S, D)``, keys and values ``(1, KV, S, D)`` to
what the queries attend to, ``(1, KV, G * S, D)``."""


class RMSNorm(nn.Module):  # type: ignore[misc] # torch is untyped here
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last axis.

    Args:
        shape: Shape of the weight.
        eps: Added to the mean square.
        guarded: Whether rows with numbers beyond 8 are scaled down first, so that no square
            overflows in fp16. The result is the same, but for the weight of ``eps`` in such rows,
            at most 3e-4.
    """

    def __init__(self, shape: int | tuple[int, ...], eps: float, *, guarded: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))
        self.eps = eps
        self.guarded = guarded

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(*, C)``."""
        if self.guarded:
            x = x / (x.abs().amax(-1, keepdim=True) / _LARGEST_SQUARED).clamp(min=1.0)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class _FeedForward(nn.Module):  # type: ignore[misc] # torch is untyped here
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        inner, bias = config.intermediate_size, config.mlp_bias
        self.gate_up = nn.Linear(config.hidden_size, 2 * inner, bias=bias)
        self.down = nn.Linear(inner, config.hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return cast(Tensor, self.down(functional.silu(gate) * up))


class _Block(nn.Module):  # type: ignore[misc] # torch is untyped here
    def __init__(self, config: DecoderConfig, *, guarded: bool) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.kv_heads
        self.head_dim = width = config.head_dim
        turned, eps = self.heads + self.kv_heads, config.rms_norm_eps
        self.attention_norm = RMSNorm(config.hidden_size, eps, guarded=guarded)
        self.qkv = nn.Linear(
            config.hidden_size, (turned + self.kv_heads) * width, bias=config.qkv_bias
        )
        self.qk_norm = RMSNorm((turned, width), eps, guarded=guarded) if config.qk_norm else None
        self.output = nn.Linear(self.heads * width, config.hidden_size, bias=config.output_bias)
        self.mlp_norm = RMSNorm(config.hidden_size, eps, guarded=guarded)
        self.mlp = _FeedForward(config)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], layer: int, attend: Attend) -> Tensor:
        """Return the block's output ``(1, S, C)`` for its input ``(1, S, C)``."""
        count, width = self.heads + self.kv_heads, self.head_dim
        qkv = self.qkv(self.attention_norm(x))
        qk, value = qkv.split([count * width, self.kv_heads * width], -1)
        qk = qk.view(1, -1, count, width)
        if self.qk_norm is not None:
            qk = self.qk_norm(qk)
        first, second = qk.chunk(2, -1)
        qk = qk * turn[0] + torch.cat([second, first], -1) * turn[1]
        query, key = qk.split([self.heads, self.kv_heads], 2)
        # Each view has its varying size as -1: sizes that are computed would leave Core ML.
        grouped = (self.kv_heads, self.heads // self.kv_heads)
        query = (query * width**-0.5).view(1, -1, *grouped, width).permute(0, 2, 3, 1, 4)
        found = attend(
            layer,
            query.contiguous().view(1, self.kv_heads, -1, width),
            key.transpose(1, 2),
            value.view(1, -1, self.kv_heads, width).transpose(1, 2),
        )
        found = found.view(1, *grouped, -1, width).permute(0, 3, 1, 2, 4)
        x = x + self.output(found.contiguous().view(1, -1, self.heads * width))
        return x + cast(Tensor, self.mlp(self.mlp_norm(x)))


class Decoder(nn.Module):  # type: ignore[misc] # torch is untyped here
    """Token embedding, blocks, and the output layer; the cache is the caller's.

    Args:
        config: The decoder.
        context: Positions of the cache.
        guarded: Whether squares are kept within fp16, see `RMSNorm`.
    """

    def __init__(self, config: DecoderConfig, context: int, *, guarded: bool = False) -> None:
        super().__init__()
        self.config, self.context = config, context
        self.groups = config.heads // config.kv_heads
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(_Block(config, guarded=guarded) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, guarded=guarded)
        self.head = (
            None if config.tied else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        )
        cosines, sines = config.rope.tables(config.head_dim, context)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        self.register_buffer("columns", torch.arange(context, dtype=torch.int32), persistent=False)

    def hidden(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Return what the last block computes for each token, ``(1, S, C)``."""
        turn = (self.cosines[positions].unsqueeze(1), self.sines[positions].unsqueeze(1))
        x = self.embedding(tokens)
        for layer, block in enumerate(self.blocks):
            x = block(x, turn, layer, attend)
        return cast(Tensor, x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the scores of the next token, ``(1, S, vocabulary)``."""
        hidden = self.norm(hidden)
        if self.head is None:
            return functional.linear(hidden, self.embedding.weight)
        return cast(Tensor, self.head(hidden))


def _bias(seen: Tensor) -> Tensor:
    # Not ``where``: with two numbers and a varying shape, coremltools 9.0 declares a scalar.
    return (seen.float() - 1.0) * _UNSEEN


class StatefulDecoder(nn.Module):  # type: ignore[misc] # torch is untyped here
    """A decoder that keeps keys and values, in fp16 as Core ML's state does.

    Args:
        decoder: The decoder.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        config = decoder.config
        # Heads and positions are one axis, since coremltools scatters along the first one only.
        shape = (config.kv_heads * decoder.context, config.head_dim)
        for layer in range(config.layers):
            for name in ("keys", "values"):
                self.register_buffer(f"{name}_{layer}", torch.zeros(shape, dtype=torch.float16))
        starts = torch.arange(config.kv_heads, dtype=torch.int32) * decoder.context
        self.register_buffer("starts", starts.unsqueeze(1), persistent=False)

    def forward(self, tokens: Tensor, positions: Tensor, last: Tensor) -> Tensor:
        """Return the logits after one of the given tokens.

        Args:
            tokens: ``(1, S)`` int32.
            positions: ``(S,)`` int32, each one more than the one before, below the context.
            last: ``(1,)`` int32: index of the token whose successor is asked for. Tokens after it
                fill the chunk up; later calls replace what they left in the cache.

        Returns:
            ``(1, 1, vocabulary)`` float32.
        """
        decoder = self.decoder
        rows = torch.cat([positions] * decoder.groups).unsqueeze(1)
        bias = _bias(decoder.columns <= rows)
        places = (self.starts + positions).view(-1)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys = self._updated(f"keys_{layer}", places, key)
            values = self._updated(f"values_{layer}", places, value)
            scores = query @ keys.transpose(2, 3) + bias
            return scores.softmax(-1) @ values

        hidden = decoder.hidden(tokens, positions, attend)
        return decoder.logits(hidden.index_select(1, last))

    def _updated(self, name: str, places: Tensor, new: Tensor) -> Tensor:
        """Write ``(1, KV, S, D)`` to a cache and return all of it, ``(1, KV, context, D)``."""
        cache = getattr(self, name)
        width = new.shape[-1]
        updated = cache.to(new.dtype).index_put([places], new.contiguous().view(-1, width))
        cache.copy_(updated)
        return updated.view(1, -1, self.decoder.context, width)


class FunctionalDecoder(nn.Module):  # type: ignore[misc] # torch is untyped here
    """A decoder whose cache its caller keeps.

    Args:
        decoder: The decoder.
        chunked: Whether it takes several tokens and the index of the last one.
    """

    def __init__(self, decoder: Decoder, *, chunked: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.chunked = chunked

    def forward(self, tokens: Tensor, positions: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Return the logits after one of the given tokens, and the tokens' keys and values.

        Args:
            tokens: ``(1, S)`` int32.
            positions: ``(S,)`` int32, each one more than the one before, below the context.
            others: ``last`` if chunked, as for `StatefulDecoder`; then the keys of every layer
                and the values of every layer, each ``(1, KV, context, D)`` float32, of which
                those before the first position are read.

        Returns:
            Logits ``(1, 1, vocabulary)`` float32; then keys and values in the order of the
            inputs, each ``(1, KV, S, D)``.
        """
        decoder = self.decoder
        count = decoder.config.layers
        caches = others[1:] if self.chunked else others
        rows = torch.cat([positions] * decoder.groups).unsqueeze(1)
        earlier = _bias(decoder.columns < positions[:1])
        among = _bias(positions <= rows)
        new: list[Tensor | None] = [None] * (2 * count)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            new[layer], new[count + layer] = key, value
            past_keys, past_values = caches[layer], caches[count + layer]
            before = query @ past_keys.transpose(2, 3) + earlier
            scores = torch.cat([before, query @ key.transpose(2, 3) + among], -1).softmax(-1)
            shares = scores.split([decoder.context, key.shape[2]], -1)
            return shares[0] @ past_values + shares[1] @ value

        hidden = decoder.hidden(tokens, positions, attend)
        if self.chunked:
            hidden = hidden.index_select(1, others[0])
        return decoder.logits(hidden), *cast(Sequence[Tensor], new)
