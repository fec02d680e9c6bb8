"""Architectures that answer for every pixel or object of an image."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from tests.architectures.model import Model, Outputs, batch_of, family, floats
from tests.architectures.vision import VIT, images


class _Level(nn.Sequential):
    def __init__(self, taken: int, given: int) -> None:
        convolution = nn.Conv2d(taken, given, 3, padding=1)
        super().__init__(convolution, nn.GroupNorm(4, given), nn.SiLU())


class _UNet(nn.Module):
    """A U-Net of two levels, with group norms and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle, self.up = _Level(3, 16), _Level(16, 32), _Level(32, 16)
        self.widen, self.last = nn.ConvTranspose2d(32, 16, 2, 2), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down(x)
        coarse = self.middle(functional.max_pool2d(fine, 2))
        return self.last(self.up(torch.cat([self.widen(coarse), fine], 1)))


def unet() -> Model:
    return Model(Outputs(_UNet()), lambda batch: (floats(batch, 3, 32, 32),), dynamic=batch_of())


def unet_dynhw() -> Model:
    half = torch.export.Dim("half", min=2, max=32)
    return Model(
        Outputs(_UNet()),
        lambda half: (floats(1, 3, 2 * half, 32),),
        (16, 8, 24),
        ({2: 2 * half},),
    )


def cnn_dynhw() -> Model:
    first, second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 3, stride=2)
    layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Upsample(scale_factor=2))
    sides = {
        2: torch.export.Dim("height", min=8, max=64),
        3: torch.export.Dim("width", min=8, max=64),
    }
    return Model(
        Outputs(layers), lambda side: (floats(1, 3, side, side + 5),), (24, 17, 40), (sides,)
    )


def segformer() -> Model:
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 2],
        hidden_sizes=[16, 32],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=32,
        num_labels=5,
    )
    return images(transformers.SegformerForSemanticSegmentation(config))


def _backbone(*stages: str) -> transformers.ResNetConfig:
    return transformers.ResNetConfig(
        embedding_size=16,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=list(stages),
    )


def detr() -> Model:
    config = transformers.DetrConfig(
        backbone_config=_backbone("stage4"),
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        d_model=32,
        num_queries=6,
        num_labels=5,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
    )
    return images(transformers.DetrForObjectDetection(config), "logits pred_boxes", side=64)


def yolos() -> Model:
    config = transformers.YolosConfig(**(VIT | {"image_size": [32, 32]}), num_detection_tokens=6)
    return images(transformers.YolosForObjectDetection(config), "logits pred_boxes")


def dpt() -> Model:
    config = transformers.DPTConfig(
        **(VIT | {"num_hidden_layers": 4}),
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
        reassemble_factors=[4, 2, 1, 0.5],
    )
    return images(transformers.DPTForDepthEstimation(config), "predicted_depth")


def depth_anything() -> Model:
    backbone = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=8,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
        head_hidden_size=8,
    )
    return images(transformers.DepthAnythingForDepthEstimation(config), "predicted_depth")


def glpn() -> Model:
    config = transformers.GLPNConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=16,
    )
    return images(transformers.GLPNForDepthEstimation(config), "predicted_depth", side=64)


def _swin() -> transformers.SwinConfig:
    return transformers.SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 4],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def upernet() -> Model:
    config = transformers.UperNetConfig(
        backbone_config=_backbone("stage1", "stage2", "stage3", "stage4"),
        hidden_size=32,
        pool_scales=[1, 2],
        use_auxiliary_head=False,
        num_labels=5,
    )
    return images(transformers.UperNetForSemanticSegmentation(config), side=64)


def maskformer() -> Model:
    decoder = transformers.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=_backbone("stage4"),
        d_model=32,
        num_queries=6,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
    )
    config = transformers.MaskFormerConfig(
        backbone_config=_swin(),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        num_labels=5,
    )
    gives = "class_queries_logits masks_queries_logits"
    return images(transformers.MaskFormerForInstanceSegmentation(config), gives, side=64)


def mask2former() -> Model:
    config = transformers.Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=64,
        dim_feedforward=64,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=4,
        num_queries=6,
        num_labels=5,
    )
    gives = "class_queries_logits masks_queries_logits"
    return images(transformers.Mask2FormerForUniversalSegmentation(config), gives, side=64)


def sam_vision() -> Model:
    config = transformers.SamVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        output_channels=16,
        window_size=3,
        global_attn_indexes=[1],
        mlp_dim=64,
        num_pos_feats=8,
    )
    return images(transformers.SamVisionModel(config), "last_hidden_state", side=64)


def swin2sr() -> Model:
    config = transformers.Swin2SRConfig(
        image_size=16,
        patch_size=1,
        embed_dim=16,
        depths=[2, 2],
        num_heads=[2, 2],
        window_size=4,
        upscale=2,
        mlp_ratio=2.0,
    )
    return images(transformers.Swin2SRForImageSuperResolution(config), "reconstruction", side=16)


class _MaskedAutoencoder(nn.Module):
    """A masked autoencoder whose mask follows from noise that it is given."""

    def __init__(self) -> None:
        super().__init__()
        config = transformers.ViTMAEConfig(
            **VIT,
            decoder_hidden_size=32,
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=4,
            decoder_intermediate_size=64,
        )
        self.model = transformers.ViTMAEForPreTraining(config)

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        found = self.model(pixel_values=pixels, noise=noise)
        return found.logits, found.mask, found.ids_restore


def vit_mae() -> Model:
    return Model(
        Outputs(_MaskedAutoencoder()),
        lambda batch: (floats(batch, 3, 32, 32), floats(batch, 16, seed=1)),
        dynamic=batch_of(2),
    )


DENSE = family(
    *(segformer, unet, unet_dynhw, cnn_dynhw, detr, yolos, sam_vision, dpt, mask2former),
    *(maskformer, upernet, depth_anything, glpn, swin2sr, vit_mae),
)
