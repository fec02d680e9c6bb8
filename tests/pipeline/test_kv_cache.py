"""Decoding with a key-value cache, as state and as inputs and outputs. Oracle: eager."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from tests.lowering import CoreMLPartitioner, coremltools, lower, snr_db, specs

ct = coremltools()
CONTEXT, LAYERS, HEADS, WIDTH, VOCABULARY = 64, 4, 4, 64, 97
HEAD = WIDTH // HEADS


class Attention(nn.Module):
    """Attention over a cache of ``CONTEXT`` positions, one new position a call."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.register_buffer("keys", torch.zeros(1, HEADS, CONTEXT, HEAD))
        self.register_buffer("values", torch.zeros(1, HEADS, CONTEXT, HEAD))

    def forward(self, x: Tensor, position: Tensor, turn: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(1, 1, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        self.keys.index_copy_(2, position, turned(k, turn))
        self.values.index_copy_(2, position, v)
        q = turned(q, turn)
        y = nn.functional.scaled_dot_product_attention(q, self.keys, self.values, mask)
        return self.out(y.transpose(1, 2).reshape(1, 1, WIDTH))


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate pairs of features by the position's angles."""
    even, odd = x.chunk(2, -1)
    cos, sin = turn.cos(), turn.sin()
    return torch.cat((even * cos - odd * sin, even * sin + odd * cos), -1)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH, eps=1e-5) for _ in range(2))
        self.gate, self.up = (nn.Linear(WIDTH, 2 * WIDTH, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, *where: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x), *where)
        y = self.norms[1](x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    """A Llama-shaped decoder: one token in, the logits of the next out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, eps=1e-5)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.register_buffer("speeds", 1e4 ** (-torch.arange(HEAD // 2) / (HEAD // 2)))

    def forward(self, token: Tensor, position: Tensor) -> Tensor:
        x = self.embedding(token).view(1, 1, WIDTH)
        turn = position * self.speeds
        mask = (torch.arange(CONTEXT) <= position).view(1, 1, 1, CONTEXT)
        for layer in self.layers:
            x = layer(x, position, turn, mask)
        return self.head(self.norm(x)).view(VOCABULARY)


def decoder() -> Decoder:
    torch.manual_seed(0)
    # ExecuTorch writes buffers back in place, which torch refuses where gradients are kept.
    return Decoder().eval().requires_grad_(False)


Step = Any


def greedy(step: Step, forced: list[int] | None = None) -> tuple[list[int], Tensor]:
    """Return 64 tokens chosen greedily, or given, and the logits they were chosen by."""
    tokens, logits = [1], []
    for position in range(CONTEXT):
        logits.append(step(torch.tensor([tokens[-1]]), torch.tensor([position])))
        tokens.append(forced[position] if forced else int(logits[-1].argmax()))
    return tokens[1:], torch.stack(logits)


@functools.cache
def eager() -> tuple[list[int], Tensor]:
    with torch.no_grad():
        return greedy(decoder())


@functools.cache
def lowered(precision: str, as_state: bool) -> tuple[bytes, CoreMLPartitioner]:
    partitioner = CoreMLPartitioner(
        compile_specs=specs(precision, minimum_deployment_target=ct.target.iOS18),
        take_over_mutable_buffer=as_state,
    )
    inputs = torch.tensor([1]), torch.tensor([0])
    return lower(decoder(), inputs, partitioner=partitioner), partitioner


def run(pte: bytes, forced: list[int] | None = None) -> tuple[list[int], Tensor]:
    program = etcoreml.load(pte)
    return greedy(lambda *inputs: program.forward(*inputs)[0], forced)


# ExecuTorch says that it does not store the zeros a buffer starts with.
pytestmark = pytest.mark.filterwarnings("ignore:Mutation on a buffer:UserWarning")


@pytest.mark.parametrize("as_state", [True, False])
def test_float32_chooses_eager_s_tokens(as_state: bool) -> None:
    tokens, _ = run(lowered("float32", as_state)[0])
    expected, _ = eager()
    assert tokens == expected
    assert len(set(expected)) > 8  # no constant answer


@pytest.mark.parametrize("as_state", [True, False])
def test_float16_logits_agree(as_state: bool) -> None:
    expected, wanted = eager()
    _, logits = run(lowered("float16", as_state)[0], expected)
    assert snr_db(logits, wanted) >= 50


def test_float16_caches_are_state() -> None:
    _, partitioner = lowered("float16", True)
    buffers = [each for each in partitioner.report if each.op == "buffer"]
    assert [each.delegated for each in buffers] == [True] * 2 * LAYERS


def test_what_is_not_state_says_why() -> None:
    for (precision, as_state), words in {
        ("float32", True): "compute_precision is float32",
        ("float16", False): "take_over_mutable_buffer=False",
    }.items():
        _, partitioner = lowered(precision, as_state)
        reasons = {each.reason for each in partitioner.report if each.op == "buffer"}
        assert len(reasons) == 1
        assert words in str(reasons)


def test_another_load_starts_anew() -> None:
    pte, _ = lowered("float16", True)
    first, second = etcoreml.load(pte), etcoreml.load(pte)
    token, position = torch.tensor([1]), torch.tensor([0])
    (start,) = first.forward(token, position)
    for step in range(1, 4):
        first.forward(token + step, position + step)
    assert torch.equal(second.forward(token, position)[0], start)
    (later,) = first.forward(token, position + 4)
    assert not torch.equal(later, second.forward(token, position + 4)[0])
