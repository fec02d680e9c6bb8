"""What a support rule says, and what it may ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch.fx import Node

from etcoreml.mil.ct import coremltools

ct = coremltools()

ISSUES = "https://github.com/apple/coremltools/issues/"
EXECUTORCH = "https://github.com/pytorch/executorch/issues/"
_FACTS = "measured, see tests/partition/test_support.py"


@dataclass(frozen=True)
class Setting:
    """What the rules may ask about the lowering.

    Attributes:
        target: ``coremltools.target`` the model must run on; the newest where none was asked for.
        constants: Names of the placeholders whose values go into the model.
        wide: Names of the placeholders of int64 constants that int32 does not hold.
        whole: Whether the program has to go in as a whole.
        lowest: Whether the target becomes the lowest that is needed.
    """

    target: Any
    constants: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
    whole: bool = False
    lowest: bool = False

    def renamed(self, names: Mapping[str, str]) -> Setting:
        """Return the setting of a graph whose placeholders are named otherwise.

        Args:
            names: Names here to those there; what is not among them is not known there.
        """
        constants = frozenset(names[each] for each in self.constants if each in names)
        wide = frozenset(names[each] for each in self.wide if each in names)
        return replace(self, constants=constants, wide=wide)


@dataclass(frozen=True)
class Rule:
    """One limit of Core ML or of its converter.

    Attributes:
        ops: The ops it is about, e.g. ``aten.add.Tensor``; empty for every op.
        applies: Whether a node is beyond the limit.
        reason: What the user is told, a sentence without a full stop.
        link: Where the limit is discussed.
        verified: The version it was last seen with.
    """

    ops: Collection[str]
    applies: Callable[[Node, Setting], bool]
    reason: str
    link: str = _FACTS
    verified: str = field(default="coremltools 9.0")


def always(node: Node, setting: Setting) -> bool:
    """Apply to every node."""
    return True


def is_below_ios16(node: Node, setting: Setting) -> bool:
    """Apply where the model must run on a system older than iOS16."""
    return bool(setting.target < ct.target.iOS16)


def is_known(value: object, setting: Setting) -> bool:
    """Whether a value is there when the model is written: a constant, or computed from those."""
    if not isinstance(value, Node):
        return True
    if value.op == "call_function":
        return all(is_known(each, setting) for each in value.all_input_nodes)
    return value.op == "get_attr" or value.name in setting.constants
