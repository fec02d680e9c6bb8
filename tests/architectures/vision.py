"""Architectures that classify, or describe, whole images."""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn

from tests.architectures.model import Inputs, Model, Outputs, batch_of, family, floats

VIT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 16,
}


def images(model: nn.Module, gives: str = "logits", side: int = 32) -> Model:
    """Return a model of a batch of square images."""

    def inputs(batch: int) -> Inputs:
        return (floats(batch, 3, side, side),)

    return Model(Outputs(model, "pixel_values", gives), inputs, dynamic=batch_of())


def mobilenet_v1() -> Model:
    config = transformers.MobileNetV1Config(
        num_labels=16, image_size=64, depth_multiplier=0.25, min_depth=8
    )
    return images(transformers.MobileNetV1ForImageClassification(config), side=64)


def mobilenet_v2() -> Model:
    config = transformers.MobileNetV2Config(num_labels=16, image_size=64, depth_multiplier=0.25)
    return images(transformers.MobileNetV2ForImageClassification(config), side=64)


def resnet() -> Model:
    config = transformers.ResNetConfig(
        num_labels=16,
        embedding_size=16,
        hidden_sizes=[16, 32],
        depths=[1, 2],
        layer_type="bottleneck",
    )
    return images(transformers.ResNetForImageClassification(config))


def regnet() -> Model:
    config = transformers.RegNetConfig(
        num_labels=16, embedding_size=16, hidden_sizes=[16, 32], depths=[1, 2], groups_width=8
    )
    return images(transformers.RegNetForImageClassification(config))


def convnext() -> Model:
    config = transformers.ConvNextConfig(
        num_labels=16, num_stages=2, hidden_sizes=[16, 32], depths=[1, 2]
    )
    return images(transformers.ConvNextForImageClassification(config))


def convnextv2() -> Model:
    config = transformers.ConvNextV2Config(
        num_labels=16, num_stages=2, hidden_sizes=[16, 32], depths=[1, 2]
    )
    return images(transformers.ConvNextV2ForImageClassification(config))


def vit() -> Model:
    return images(transformers.ViTForImageClassification(transformers.ViTConfig(**VIT)))


def deit() -> Model:
    config = transformers.DeiTConfig(**VIT)
    return images(transformers.DeiTForImageClassificationWithTeacher(config))


def beit() -> Model:
    config = transformers.BeitConfig(
        **VIT, vocab_size=96, use_relative_position_bias=True, use_mask_token=False
    )
    return images(transformers.BeitForImageClassification(config))


def data2vec_vision() -> Model:
    config = transformers.Data2VecVisionConfig(**VIT, use_shared_relative_position_bias=True)
    return images(transformers.Data2VecVisionForImageClassification(config))


def dinov2() -> Model:
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8
    )
    return images(transformers.Dinov2Model(config), "last_hidden_state")


_SWIN: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
    "num_labels": 16,
}


def swin() -> Model:
    return images(transformers.SwinForImageClassification(transformers.SwinConfig(**_SWIN)))


def swinv2() -> Model:
    return images(transformers.Swinv2ForImageClassification(transformers.Swinv2Config(**_SWIN)))


def efficientnet() -> Model:
    config = transformers.EfficientNetConfig(
        num_labels=16,
        image_size=32,
        width_coefficient=0.25,
        depth_coefficient=0.3,
        in_channels=[32, 16, 24],
        out_channels=[16, 24, 40],
        kernel_sizes=[3, 3, 5],
        strides=[1, 2, 2],
        num_block_repeats=[1, 2, 2],
        expand_ratios=[1, 6, 6],
        depthwise_padding=[],
        hidden_dim=320,
    )
    return images(transformers.EfficientNetForImageClassification(config))


def mobilevit() -> Model:
    config = transformers.MobileViTConfig(
        num_labels=16,
        image_size=64,
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[8, 8, 16, 16, 16, 24, 32],
        num_attention_heads=4,
    )
    return images(transformers.MobileViTForImageClassification(config), side=64)


def mobilevitv2() -> Model:
    config = transformers.MobileViTV2Config(
        num_labels=16, image_size=64, width_multiplier=0.25, base_attn_unit_dims=[32, 48, 64]
    )
    return images(transformers.MobileViTV2ForImageClassification(config), side=64)


def levit() -> Model:
    config = transformers.LevitConfig(
        num_labels=16,
        image_size=64,
        hidden_sizes=[16, 24, 32],
        num_attention_heads=[2, 2, 4],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
    )
    return images(transformers.LevitForImageClassification(config), side=64)


def swiftformer() -> Model:
    config = transformers.SwiftFormerConfig(
        num_labels=16, image_size=64, depths=[1, 1, 2, 1], embed_dims=[8, 16, 24, 32], mlp_ratio=2
    )
    return images(transformers.SwiftFormerForImageClassification(config), side=64)


def poolformer() -> Model:
    config = transformers.PoolFormerConfig(
        num_labels=16, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], mlp_ratio=2.0
    )
    return images(transformers.PoolFormerForImageClassification(config), side=64)


def pvt() -> Model:
    config = transformers.PvtConfig(
        num_labels=16,
        image_size=64,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        mlp_ratios=[2, 2, 2, 2],
        num_attention_heads=[1, 2, 3, 4],
    )
    return images(transformers.PvtForImageClassification(config), side=64)


def cvt() -> Model:
    config = transformers.CvtConfig(
        num_labels=16,
        embed_dim=[8, 16, 32],
        num_heads=[1, 2, 4],
        depth=[1, 2, 3],
        cls_token=[False, False, True],
    )
    return images(transformers.CvtForImageClassification(config), side=64)


def focalnet() -> Model:
    config = transformers.FocalNetConfig(
        num_labels=16,
        image_size=32,
        patch_size=4,
        embed_dim=16,
        depths=[1, 2],
        focal_levels=[2, 2],
        focal_windows=[3, 3],
    )
    return images(transformers.FocalNetForImageClassification(config))


def hiera() -> Model:
    config = transformers.HieraConfig(
        num_labels=16,
        image_size=[32, 32],
        patch_kernel=[7, 7],
        embed_dim=16,
        depths=[1, 1, 1],
        num_heads=[1, 2, 4],
        embed_dim_multiplier=2.0,
        num_query_pool=2,
        masked_unit_size=[4, 4],
    )
    return images(transformers.HieraForImageClassification(config))


IMAGES = family(
    *(mobilenet_v2, resnet, convnext, vit, deit, swin, swinv2, efficientnet, mobilevit, dinov2),
    *(mobilenet_v1, regnet, convnextv2, beit, data2vec_vision, mobilevitv2, levit, swiftformer),
    *(poolformer, pvt, cvt, focalnet, hiera),
)
