"""Advice: every pattern is about a reason that is given, and the user is told what to do.

Oracle: the rules' own reasons.
"""

from __future__ import annotations

import re

import pytest

from etcoreml.imports import quiet_imports

with quiet_imports():
    from etcoreml.partition import buffers, interface, partitioner
    from etcoreml.partition.hints import ADVICE, REPLACEMENTS, advice
    from etcoreml.partition.support import GENERAL_RULES, OP_RULES

REASONS = [
    *(rule.reason for rule in (*GENERAL_RULES, *OP_RULES)),
    *(
        value
        for module in (interface, partitioner)
        for name, value in vars(module).items()
        if isinstance(value, str) and re.fullmatch(r"_[A-Z_]+", name)
    ),
    *re.findall(r'return "(.*)"', buffers.__loader__.get_source(buffers.__name__)),  # type: ignore[union-attr]
]


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in ADVICE])
def test_every_pattern_is_about_a_reason(pattern: str) -> None:
    assert any(re.search(pattern, reason) for reason in REASONS)


def test_the_target_is_named() -> None:
    found = advice(
        "aten.add.Tensor",
        "a delegate without inputs needs minimum_deployment_target iOS18 or later",
    )
    assert found is not None
    assert "--deployment-target iOS18" in found


def test_a_newer_target_goes_before_a_rewrite() -> None:
    found = advice("aten.acosh.default", "no", newer_target="iOS18")
    assert found is not None
    assert found.startswith("lower with minimum_deployment_target iOS18")


def test_replacements_go_before_reasons() -> None:
    assert (
        advice("aten.acosh.default", "Core ML takes tensors up to rank 5")
        == REPLACEMENTS["aten.acosh.default"]
    )


def test_without_a_kernel_there_is_always_advice() -> None:
    assert advice("aten.unheard_of.default", "no") is None
    found = advice("aten.unheard_of.default", "no", lacks_kernel=True)
    assert found == "rewrite that line without the op; or link a kernel for it into the app"
