"""The networks of the tests at the size in which they are used, with random weights.

Batch-norm statistics are random too, as `tests.networks` makes them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from tests.networks import Logits, Network, efficientnet_lite0, network


@network
def mobilenet_v2() -> Network:
    """MobileNetV2 of full width: 224 x 224, 3.5 M parameters."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(image_size=224, depth_multiplier=1.0, num_labels=1000)
    return Logits(MobileNetV2ForImageClassification(config), "logits"), _image()


@network
def resnet18() -> Network:
    """ResNet-18: 224 x 224, 11.7 M parameters."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        num_labels=1000,
    )
    return Logits(ResNetForImageClassification(config), "logits"), _image()


@network
def bert_base() -> Network:
    """BERT base on 128 tokens, the last 28 of them padding: 110 M parameters."""
    from transformers import BertConfig, BertModel

    mask = torch.ones(1, 128, dtype=torch.int64)
    mask[:, 100:] = 0
    tokens = torch.randint(0, 30522, (1, 128))
    return Logits(BertModel(BertConfig()), "last_hidden_state"), (tokens, mask)


@network
def vit_base() -> Network:
    """ViT-B/16: 224 x 224, 86 M parameters."""
    from transformers import ViTConfig, ViTForImageClassification

    return Logits(ViTForImageClassification(ViTConfig(num_labels=1000)), "logits"), _image()


FULL_SIZE: dict[str, Callable[[], Network]] = {
    "EfficientNet-Lite0": efficientnet_lite0,
    "MobileNetV2": mobilenet_v2,
    "ResNet-18": resnet18,
    "BERT base, 128 tokens": bert_base,
    "ViT-B/16": vit_base,
}
"""Every network by the name people know it under."""


def _image() -> tuple[torch.Tensor, ...]:
    return (torch.randn(1, 3, 224, 224),)
