"""Rules about ops that compute each element on its own."""

from __future__ import annotations

import torch
from torch.fx import Node

from etcoreml.partition.node import results
from etcoreml.partition.support.rule import ISSUES, Rule, Setting, always

_BITWISE = (
    "aten.bitwise_not.default",
    *(
        f"aten.bitwise_{name}.{overload}"
        for name in ("and", "or", "xor")
        for overload in ("Tensor", "Scalar")
    ),
)


def _has_integer_result(node: Node, setting: Setting) -> bool:
    return any(each.dtype != torch.bool for each in results(node))


RULES: tuple[Rule, ...] = (
    Rule(
        ("aten.acosh.default",),
        always,
        "coremltools does not implement the op",
        ISSUES + "2569",
    ),
    Rule(
        _BITWISE,
        _has_integer_result,
        "Core ML has the op for bool tensors only",
    ),
)
