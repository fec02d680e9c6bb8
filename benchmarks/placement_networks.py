"""The networks whose compute plans are known, rebuilt with random weights as ML Programs.

Sizes, batch and conversion are those of the plans: coremltools' own converter, fp16, for macOS 15.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etcoreml.imports import quiet_imports
from etcoreml.mil import MilProgram, open_model
from etcoreml.mil.ct import coremltools

with quiet_imports():
    import torch
    from torch import Tensor, nn

Network = tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor], Tensor]
"""A model, how the plans' author calls it, and an input."""

BATCH = 16


class _Called(nn.Module):  # type: ignore[misc] # torch is untyped here
    def __init__(self, model: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.model, x)


def _picture(batch: int) -> Tensor:
    return torch.zeros(batch, 3, 224, 224)


def distilbert() -> Network:
    """DistilBERT, without a mask, averaged over positions; 16 x 128 ids."""
    from transformers import DistilBertConfig, DistilBertModel

    def call(model: nn.Module, ids: Tensor) -> Tensor:
        hidden = model.transformer(model.embeddings(ids), attention_mask=None)
        return hidden.last_hidden_state.mean(1)

    model = DistilBertModel(DistilBertConfig(attn_implementation="eager"))
    return model, call, torch.zeros(BATCH, 128, dtype=torch.int32)


def mobilenetv2() -> Network:
    """MobileNetV2 without its head; 16 pictures."""
    from transformers import MobileNetV2Config, MobileNetV2Model

    model = MobileNetV2Model(MobileNetV2Config(tf_padding=True))
    return model, lambda model, x: model(x).pooler_output, _picture(BATCH)


def resnet50() -> Network:
    """ResNet-50 without its head; 16 pictures."""
    from transformers import ResNetConfig, ResNetModel

    model = ResNetModel(ResNetConfig())
    return model, lambda model, x: model(x).pooler_output.flatten(1), _picture(BATCH)


def siglip() -> Network:
    """SigLIP's vision tower, averaged over patches; one picture."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(attn_implementation="eager", vision_use_head=False)
    model = SiglipVisionModel(config)
    return model, lambda model, x: model(x).last_hidden_state.mean(1), _picture(1)


def whisper() -> Network:
    """Whisper's tiny encoder, averaged over frames; 16 spectra of 80 x 3000."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    model = WhisperEncoder(WhisperConfig(attn_implementation="eager"))
    return model, lambda model, x: model(x).last_hidden_state.mean(1), torch.zeros(BATCH, 80, 3000)


NETWORKS: Mapping[str, Callable[[], Network]] = {
    "distilbert": distilbert,
    "mobilenetv2": mobilenetv2,
    "resnet50": resnet50,
    "siglip": siglip,
    "whisper": whisper,
}
"""By the names of their plans."""


@contextmanager
def converted(name: str) -> Iterator[MilProgram]:
    """Build and convert a network; its files are gone after the block."""
    model, call, x = NETWORKS[name]()
    program = torch.export.export(_Called(model, call).eval(), (x,)).run_decompositions({})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.mlpackage")
        _convert(program).save(str(path))
        opened = open_model(path)
        assert isinstance(opened, MilProgram)
        yield opened


def _convert(program: Any) -> Any:
    tools = coremltools()
    with quiet_imports():
        return tools.convert(
            program,
            minimum_deployment_target=tools.target.macOS15,
            compute_precision=tools.precision.FLOAT16,
            skip_model_load=True,
        )
