"""Networks the tests share: real architectures, small where they may be, always the same weights.

Each function returns ``(module.eval(), example_inputs)``. Weights are random unless said otherwise;
batch-norm statistics are random too, so that a lost or misread one changes the numbers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from etcoreml.cli import zoo
from examples.photograph import photograph

Network = tuple[nn.Module, tuple[Tensor, ...]]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch for the block and restore its generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def network(build: Callable[[], Network]) -> Callable[[], Network]:
    """Make a network reproducible and ready for inference."""

    @functools.wraps(build)
    def seeded() -> Network:
        with _seeded(1234):
            module, inputs = build()
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm2d) and not getattr(module, "trained", False):
                    nn.init.normal_(norm.running_mean, std=0.1)
                    nn.init.uniform_(norm.running_var, 0.5, 1.5)
                    nn.init.uniform_(norm.weight, 0.5, 1.5)
                    nn.init.normal_(norm.bias, std=0.1)
        return module.eval(), inputs

    return seeded


class Logits(nn.Module):
    """A transformers model that returns one tensor of its output."""

    def __init__(self, model: nn.Module, field: str) -> None:
        super().__init__()
        self.model, self.field = model, field

    def forward(self, *inputs: Tensor) -> Tensor:
        return getattr(self.model(*inputs), self.field)


@network
def efficientnet_lite0() -> Network:
    """EfficientNet-Lite0 with its ImageNet weights on a photograph; 224 x 224, 4.7 M parameters.

    On noise its logits are worth less: rounding the folded weights to fp16 alone, in torch, leaves
    41 dB there and 52 dB on the photograph.
    """
    module, _ = zoo.efficientnet_lite0()
    module.trained = True
    return module, (photograph(),)


@network
def mobilenet_v2() -> Network:
    """MobileNetV2 (``transformers``) of quarter width, 96 x 96."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(image_size=96, depth_multiplier=0.25, num_labels=10)
    module = MobileNetV2ForImageClassification(config)
    return Logits(module, "logits"), (torch.randn(1, 3, 96, 96),)


@network
def resnet18() -> Network:
    """ResNet-18 (``transformers``) of quarter width, 64 x 64."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 128],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        num_labels=10,
    )
    return Logits(ResNetForImageClassification(config), "logits"), (torch.randn(1, 3, 64, 64),)


@network
def bert() -> Network:
    """BERT encoder, 2 layers of 64; token ids and attention mask, int64."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=200,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    mask = torch.ones(2, 16, dtype=torch.int64)
    mask[1, 10:] = 0
    return Logits(BertModel(config), "last_hidden_state"), (torch.randint(0, 200, (2, 16)), mask)


@network
def vit() -> Network:
    """Vision transformer, 2 layers of 64, 32 x 32 in patches of 8."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        image_size=32,
        patch_size=8,
        num_labels=10,
    )
    return Logits(ViTForImageClassification(config), "logits"), (torch.randn(1, 3, 32, 32),)


class _TwoIslands(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        # acosh has no converter: a portable op between two delegates.
        return self.second(torch.acosh(self.first(x).abs() + 1.5))


@network
def two_islands() -> Network:
    """Two linear layers with an op between them that Core ML cannot take."""
    return _TwoIslands(), (torch.randn(3, 8),)


ZOO: dict[str, Callable[[], Network]] = {
    each.__name__: each
    for each in (efficientnet_lite0, mobilenet_v2, resnet18, bert, vit, two_islands)
}
"""Every network by name."""
