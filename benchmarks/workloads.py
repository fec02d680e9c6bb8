"""What the engine is measured on, by the name people know it under. Light to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One network in one form.

    Attributes:
        network: Key of ``networks.NETWORKS``.
        weights: Of our model: ``float16``, ``int8``, or ``int4`` in blocks of 32. The peers have
            no kernels for quantised weights and exact activations, and abstain from the latter.
        precision: In which coremltools converts it.
        is_lowered: Whether our own lowering makes the model rather than coremltools, which cannot
            convert these traces with NumPy 2.4.
    """

    network: str
    weights: str = "float16"
    precision: str = "FLOAT16"
    is_lowered: bool = False


ADD = "add of 16"
BERT = "BERT-base, 128"
LINEARS = "6 x Linear, fp16"
COMPRESSED = ("6 x Linear, int8", "6 x Linear, int4")

WORKLOADS = {
    ADD: Workload("add", precision="FLOAT32"),
    "MobileNetV2": Workload("mobilenet_v2"),
    "EfficientNet-Lite0": Workload("efficientnet_lite0", is_lowered=True),
    "ResNet-50": Workload("resnet50"),
    BERT: Workload("bert_base", is_lowered=True),
    "ViT-B": Workload("vit_base"),
    "LSTM": Workload("lstm"),
    "KV-cache step": Workload("decoder"),
    LINEARS: Workload("linears"),
    COMPRESSED[0]: Workload("linears", "int8"),
    COMPRESSED[1]: Workload("linears", "int4"),
}

QUICK = (ADD, LINEARS, *COMPRESSED)


def names(parts: list[str]) -> list[str]:
    """Return the workloads whose names hold one of ``parts``; every one if there are none.

    Raises:
        SystemExit: One of them is in no name.
    """
    for part in parts:
        if not any(part.lower() in name.lower() for name in WORKLOADS):
            msg = f"no workload is named like {part!r}: {', '.join(WORKLOADS)}"
            raise SystemExit(msg)
    return [
        name for name in WORKLOADS if not parts or any(p.lower() in name.lower() for p in parts)
    ]
