"""Rules about norms."""

from __future__ import annotations

from torch.fx import Node

from etcoreml.partition.node import argument, is_static
from etcoreml.partition.support.rule import ISSUES, Rule, Setting, always, is_known


def _has_varying_scale(node: Node, setting: Setting) -> bool:
    return not all(is_known(argument(node, name), setting) for name in ("weight", "bias"))


def _has_varying_size(node: Node, setting: Setting) -> bool:
    return not is_static(argument(node, "normalized_shape"))


RULES: tuple[Rule, ...] = (
    Rule(
        ("aten.rms_norm.default",),
        always,
        "coremltools' rms_norm is inaccurate for small values and NaN for zeros",
        ISSUES + "2821",
    ),
    Rule(
        ("aten.layer_norm.default", "aten.native_layer_norm.default"),
        _has_varying_scale,
        "Core ML's layer norm takes a constant weight and bias only",
    ),
    Rule(
        ("aten.layer_norm.default", "aten.native_layer_norm.default"),
        _has_varying_size,
        "coremltools normalises over sizes that are constants only",
    ),
)
