"""Rules about attention."""

from __future__ import annotations

from torch.fx import Node

from etcoreml.partition.node import argument, is_static, operand
from etcoreml.partition.support.rule import Rule, Setting

_BATCHED_HEADS = 4


def _groups_heads_otherwise(node: Node, setting: Setting) -> bool:
    query, key, value = (operand(node, name) for name in ("query", "key", "value"))
    if query is None or key is None or value is None:
        return True
    if all(each.shape[:-2] == query.shape[:-2] for each in (key, value)):
        return False
    grouped = bool(argument(node, "enable_gqa")) and query.dim() == _BATCHED_HEADS
    return not grouped or any(
        each.dim() != query.dim()
        or each.shape[0] != query.shape[0]
        or not is_static((query.shape[1], each.shape[1]))
        for each in (key, value)
    )


RULES: tuple[Rule, ...] = (
    Rule(
        ("aten.scaled_dot_product_attention.default",),
        _groups_heads_otherwise,
        "Core ML's attention takes (batch, heads, length, depth) with enable_gqa, and otherwise "
        "operands of the same batch and heads",
    ),
)
