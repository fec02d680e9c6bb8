"""Rules about pools."""

from __future__ import annotations

from torch.fx import Node

from etcoreml.partition.node import argument, op_name
from etcoreml.partition.support.rule import Rule, Setting


def _uses_indices(node: Node, setting: Setting) -> bool:
    return any(op_name(user) == "getitem" and user.args[1] == 1 for user in node.users)


def _is_dilated(node: Node, setting: Setting) -> bool:
    return any(step != 1 for step in argument(node, "dilation"))


def _is_dilated_or_indexed(node: Node, setting: Setting) -> bool:
    return _is_dilated(node, setting) or _uses_indices(node, setting)


def _overrides_divisor(node: Node, setting: Setting) -> bool:
    return argument(node, "divisor_override") is not None


RULES: tuple[Rule, ...] = (
    Rule(
        ("aten.max_pool2d_with_indices.default", "aten.max_pool3d_with_indices.default"),
        _is_dilated_or_indexed,
        "Core ML's max pooling has neither dilation nor indices",
    ),
    Rule(
        tuple(f"aten.max_pool{n}d.default" for n in (1, 2, 3)),
        _is_dilated,
        "Core ML's max pooling has no dilation",
    ),
    Rule(
        tuple(f"aten.avg_pool{n}d.default" for n in (2, 3)),
        _overrides_divisor,
        "Core ML's average pooling has no divisor",
    ),
)
