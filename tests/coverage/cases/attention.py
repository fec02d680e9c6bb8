"""Attention and recurrent layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.coverage.case import Case, bools, case, floats

_Q, _K, _V = floats(1, 4, 5, 8), floats(1, 4, 6, 8, seed=1), floats(1, 4, 6, 8, seed=2)
_MASK = bools(5, 6).index_fill(1, torch.tensor([0]), True)


def _layer(name: str, layer: nn.Module, *inputs: Any) -> Case:
    generator = torch.Generator().manual_seed(0)
    for each in layer.parameters():
        nn.init.normal_(each, std=0.3, generator=generator)
    return case(name, layer.eval(), *inputs)


class _SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


_sdpa = functional.scaled_dot_product_attention

CASES = (
    case("sdpa", _sdpa, _Q, _K, _V),
    case("sdpa_mask", lambda q, k, v, m: _sdpa(q, k, v, m), _Q, _K, _V, floats(5, 6)),
    case("sdpa_boolmask", lambda q, k, v, m: _sdpa(q, k, v, m), _Q, _K, _V, _MASK),
    case("sdpa_causal", lambda q, k, v: _sdpa(q, k, v, is_causal=True), _Q, _Q + 1, _Q - 1),
    case("sdpa_scale", lambda q, k, v: _sdpa(q, k, v, scale=0.2), _Q, _K, _V),
    case(
        "sdpa_gqa",
        lambda q, k, v: _sdpa(q, k, v, enable_gqa=True),
        _Q,
        _K[:, :2].contiguous(),
        _V[:, :2].contiguous(),
    ),
    _layer("mha", _SelfAttention(), floats(2, 5, 8)),
    _layer("tfm_enc", nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), floats(2, 5, 8)),
    _layer("lstm", nn.LSTM(5, 6, batch_first=True), floats(2, 4, 5)),
    _layer("lstm_bi2", nn.LSTM(5, 6, num_layers=2, bidirectional=True), floats(4, 2, 5)),
    _layer("gru", nn.GRU(5, 6), floats(4, 2, 5)),
    _layer("rnn", nn.RNN(5, 6, batch_first=True), floats(2, 4, 5)),
    _layer("lstmcell", nn.LSTMCell(5, 6), floats(2, 5), (floats(2, 6), floats(2, 6, seed=1))),
    _layer("grucell", nn.GRUCell(5, 6), floats(2, 5), floats(2, 6)),
)
