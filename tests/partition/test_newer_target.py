"""Whether a newer deployment target helps.

Oracle: the rules' own limits; ``test_support`` lowers for the targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from etcoreml.imports import quiet_imports

with quiet_imports():
    from etcoreml.compiler.specs import decode_options
    from etcoreml.mil.ct import coremltools
    from etcoreml.partition.newer_target import NewerTarget
    from etcoreml.partition.node import op_name
    from etcoreml.partition.support import Setting, why_not
    from tests.lowering import specs

ct = coremltools()


class Unshuffle(nn.Module):
    """An op of iOS16 and later, and one that no target has."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.acosh(functional.pixel_unshuffle(x, 2))


PROGRAM = torch.export.export(Unshuffle(), (torch.ones(1, 1, 4, 4),))


def answers(target: str, reason: str | None = None) -> dict[str, str | None]:
    """Return the newer target for each op that has to stay outside, for its reason or another."""
    options = decode_options(specs(minimum_deployment_target=getattr(ct.target, target)))
    setting = Setting(options.target)
    ask = NewerTarget(options, setting)
    calls = [node for node in PROGRAM.graph.nodes if node.op == "call_function"]
    refused = {node: why for node in calls if (why := why_not(node, setting)) is not None}
    return {op_name(node): ask(node, reason or why) for node, why in refused.items()}


def test_the_oldest_target_that_takes_a_node_is_named() -> None:
    none = {"aten.acosh.default": None}
    assert answers("iOS15") == {"aten.pixel_unshuffle.default": "iOS16"} | none
    assert answers("iOS16") == none


def test_what_the_user_asked_for_is_not_the_target_s_doing() -> None:
    assert set(answers("iOS15", "the user asked to leave the op out").values()) == {None}
