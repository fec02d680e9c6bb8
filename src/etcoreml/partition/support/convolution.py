"""Rules about convolutions."""

from __future__ import annotations

from torch.fx import Node

from etcoreml.partition.node import argument, op_name, operand
from etcoreml.partition.support.rule import Rule, Setting, is_known

_CONVOLUTIONS = ("aten.convolution.default", *(f"aten.conv{n}d.default" for n in (1, 2, 3)))
_TRANSPOSED = (
    "aten.conv_transpose1d.default",
    "aten.conv_transpose2d.input",
    "aten.conv_transpose3d.input",
)


def _is_unbatched(node: Node, setting: Setting) -> bool:
    x, weight = operand(node, "input"), operand(node, "weight")
    return x is None or weight is None or x.dim() < weight.dim()


def _has_varying_bias(node: Node, setting: Setting) -> bool:
    return not is_known(argument(node, "bias"), setting)


def _has_varying_transposed_weight(node: Node, setting: Setting) -> bool:
    is_transposed = "transpose" in op_name(node) or argument(node, "transposed")
    return is_transposed and not is_known(argument(node, "weight"), setting)


RULES: tuple[Rule, ...] = (
    Rule(
        _CONVOLUTIONS,
        _is_unbatched,
        "Core ML's convolution takes batched tensors",
    ),
    Rule(
        (*_CONVOLUTIONS, *_TRANSPOSED),
        _has_varying_bias,
        "Core ML's convolution takes a constant bias only",
    ),
    Rule(
        ("aten.convolution.default", *_TRANSPOSED),
        _has_varying_transposed_weight,
        "Core ML's transposed convolution takes a constant weight only",
    ),
)
