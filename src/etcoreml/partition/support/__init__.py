"""Can Core ML take this node? The rules, as data.

What enters is a node and the settings of the lowering; what leaves is the reason why the node has
to stay outside of the delegate, or None. A rule states the ops it is about, the condition, the
reason a user reads, where the limit is discussed, and the version it was verified with. Rules
about every op come first (``general``), then those of each family of ops, a file each; the first
that applies gives the reason. A rule is there because the conversion would give wrong numbers, be
slower than the decomposition, or fail, which would abort the whole lowering.

The rules describe coremltools' conversion and Core ML's semantics, never what the portable engine
of this package can run.
"""

from __future__ import annotations

from torch.fx import Node

from etcoreml.compiler.decompositions import expansion
from etcoreml.partition.node import op_name
from etcoreml.partition.support import (
    arrangement,
    attention,
    convolution,
    elementwise,
    normalization,
    pooling,
    unconverted,
)
from etcoreml.partition.support.general import GENERAL_RULES
from etcoreml.partition.support.rule import Rule, Setting

__all__ = ["FAMILIES", "GENERAL_RULES", "OP_RULES", "Rule", "Setting", "why_not"]

FAMILIES = (
    arrangement,
    attention,
    convolution,
    elementwise,
    normalization,
    pooling,
    unconverted,
)
"""The modules with rules about single ops."""

OP_RULES: tuple[Rule, ...] = tuple(rule for family in FAMILIES for rule in family.RULES)


def why_not(node: Node, setting: Setting) -> str | None:
    """Return why a call node has to stay outside of Core ML, or None when it need not.

    Args:
        node: A ``call_function`` node of an edge or ATen program, with ``meta["val"]``.
        setting: The lowering it is for.
    """
    traced = expansion(node)
    if traced is not None:
        given = traced.graph.find_nodes(op="placeholder")
        inside = setting.renamed(
            {each.name: own.name for each, own in zip(node.all_input_nodes, given, strict=True)}
        )
        parts = (each for each in traced.graph.nodes if each.op == "call_function")
        return next(filter(None, (why_not(each, inside) for each in parts)), None)
    name = op_name(node)
    for rule in (*GENERAL_RULES, *_RULES_BY_OP.get(name, ())):
        if rule.applies(node, setting):
            return rule.reason
    return None


def _by_op() -> dict[str, tuple[Rule, ...]]:
    table: dict[str, tuple[Rule, ...]] = {}
    for rule in OP_RULES:
        for name in rule.ops:
            table[name] = (*table.get(name, ()), rule)
    return table


_RULES_BY_OP = _by_op()
