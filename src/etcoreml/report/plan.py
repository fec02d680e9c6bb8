"""Where Apple's compute units may run the model: an estimate by rules, never Core ML's own plan."""

from __future__ import annotations

from collections.abc import Sequence

from etcoreml.choices import ComputeUnit
from etcoreml.mil.program import Function, Signature
from etcoreml.placement.estimate import estimate
from etcoreml.placement.rule import CONFIDENCE
from etcoreml.placement.summary import leaves
from etcoreml.placement.work import FLOPS_PER_BYTE, work_shares
from etcoreml.report.document import Plan, PlanRow


def plan_of(
    functions: Sequence[tuple[Function, Signature | None]], compute_unit: ComputeUnit
) -> Plan | None:
    """Return the estimate of all operations that have a device; None if there are none.

    Args:
        functions: What Core ML runs, with the described interface of each; of a .pte, one for each
            delegate. Shares of the work are of all of them together.
        compute_unit: Units that Core ML may use.
    """
    placed = [
        each
        for function, signature in functions
        for each in estimate(function, signature, compute_unit)
        if each.verdict != "no_device"
    ]
    if not placed:
        return None
    shares = work_shares([each.cost for each in placed], FLOPS_PER_BYTE)
    letters = {each.rule.confidence for each in placed}
    return Plan(
        origin="estimate",
        compute_unit=compute_unit,
        confidence={key: text for key, text in CONFIDENCE.items() if key in letters},
        operations=tuple(
            PlanRow(
                operation=f"{each.name}:{each.type}",
                preferred=" or ".join(each.preferred),
                supported=each.supported,
                estimated_work_share=share,
                confidence=each.rule.confidence,
                reason=each.rule.reason,
                advice=each.rule.change,
                leaves=leaves(each.verdict),
            )
            for each, share in zip(placed, shares, strict=True)
        ),
    )
