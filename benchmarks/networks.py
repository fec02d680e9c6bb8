"""The networks that are measured.

Random weights, except for EfficientNet-Lite0; random batch-norm statistics, because the initial
ones let MobileNetV2 vanish in fp16. Every network maps tensors to tensors, without state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.models.full_size import bert_base, mobilenet_v2, vit_base
from tests.networks import Logits, Network, efficientnet_lite0, network


@network
def resnet50() -> Network:
    """ResNet-50 (``transformers``): 224 x 224, 25.6 M parameters."""
    from transformers import ResNetConfig, ResNetForImageClassification

    model = ResNetForImageClassification(ResNetConfig(num_labels=1000))
    return Logits(model, "logits"), (torch.randn(1, 3, 224, 224),)


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(128, 256, batch_first=True, bidirectional=True)
        self.head = nn.Linear(512, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


@network
def lstm() -> Network:
    """A bidirectional LSTM of 256 units over 64 steps of 128, and a linear layer."""
    return _Lstm(), (torch.randn(1, 64, 128),)


class _Decoder(nn.Module):
    WIDTH, HEADS, LAYERS, LENGTH, VOCABULARY = 512, 8, 6, 256, 8000

    def __init__(self) -> None:
        super().__init__()
        width = self.WIDTH
        self.embedding = nn.Embedding(self.VOCABULARY, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width),
                    "up": nn.Linear(width, 4 * width),
                    "down": nn.Linear(4 * width, width),
                }
            )
            for _ in range(self.LAYERS)
        )
        self.head = nn.Linear(width, self.VOCABULARY, bias=False)

    def forward(
        self, token: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = self.embedding(token)
        new_keys, new_values = [], []
        shape = (1, 1, self.HEADS, self.WIDTH // self.HEADS)
        for i, layer in enumerate(self.layers):
            q, k, v = layer["qkv"](layer["norm1"](x)).split(self.WIDTH, -1)
            q, k, v = (each.reshape(shape).transpose(1, 2) for each in (q, k, v))
            attended = functional.scaled_dot_product_attention(
                q,
                torch.cat([keys[i : i + 1], k], 2),
                torch.cat([values[i : i + 1], v], 2),
                attn_mask=mask,
            )
            x = x + layer["out"](attended.transpose(1, 2).reshape(1, 1, self.WIDTH))
            x = x + layer["down"](functional.gelu(layer["up"](layer["norm2"](x))))
            new_keys.append(k)
            new_values.append(v)
        return self.head(x), torch.cat(new_keys), torch.cat(new_values)


@network
def decoder() -> Network:
    """One step of a decoder with a KV cache of 256 tokens, 200 of them in use; 27 M parameters.

    The caches come in, the new keys and values go out: the one form that all contestants run.
    """
    module = _Decoder()
    cache = (module.LAYERS, module.HEADS, module.LENGTH, module.WIDTH // module.HEADS)
    mask = torch.zeros(1, 1, 1, module.LENGTH + 1)
    mask[..., 200 : module.LENGTH] = -1e4
    token = torch.randint(0, module.VOCABULARY, (1, 1), dtype=torch.int32)
    return module, (token, torch.randn(cache), torch.randn(cache), mask)


@network
def linears() -> Network:
    """Six linear layers of 2048 units at batch 1, each followed by ReLU; 25 M parameters."""
    layers = [layer for _ in range(6) for layer in (nn.Linear(2048, 2048), nn.ReLU())]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=2048**-0.5 * 1.4)
    return nn.Sequential(*layers), (torch.randn(1, 2048),)


class _Add(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


@network
def add() -> Network:
    """One addition of 16 numbers: what a call costs."""
    return _Add(), (torch.randn(16), torch.randn(16))


NETWORKS: dict[str, Callable[[], Network]] = {
    "add": add,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
    "resnet50": resnet50,
    "bert_base": bert_base,
    "vit_base": vit_base,
    "lstm": lstm,
    "decoder": decoder,
    "linears": linears,
}
