"""From a function to an estimate of the compute unit of each of its operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from etcoreml.choices import ComputeUnit
from etcoreml.mil.program import Function, Signature
from etcoreml.placement.rule import MEANINGS, Rule, Unit, Verdict
from etcoreml.placement.rules import RULES
from etcoreml.placement.subject import Subject, subjects
from etcoreml.placement.work import FLOPS_PER_BYTE, work_shares
from etcoreml.trace.cost import Cost

ALLOWED: MappingProxyType[ComputeUnit, tuple[Unit, ...]] = MappingProxyType(
    {
        "all": ("CPU", "GPU", "NE"),
        "cpu_only": ("CPU",),
        "cpu_and_gpu": ("CPU", "GPU"),
        "cpu_and_ne": ("CPU", "NE"),
    }
)
"""Units that a compute unit setting lets Core ML use."""


@dataclass(frozen=True)
class Estimate:
    """Of one operation; nothing in it comes from Core ML.

    Attributes:
        name: Its first output, or its name if it has none.
        type: MIL op.
        verdict: What the rule says.
        rule: The rule that decided.
        also: Other rules that hold, and would decide were it not for that one.
        supported: Units among those allowed that can run it, as far as is known.
        preferred: Units one of which probably runs it; one alone is an estimate, several depend on
            the chip or are not known. None for an operation without a device.
        cost: FLOPs and bytes.
        work_share: Estimated share of the function's work, from 0 to 1; None if a size varies. It
            is not Core ML's estimated cost.
    """

    name: str
    type: str
    verdict: Verdict
    rule: Rule
    also: tuple[Rule, ...]
    supported: tuple[Unit, ...]
    preferred: tuple[Unit, ...]
    cost: Cost
    work_share: float | None


def estimate(
    function: Function,
    signature: Signature | None = None,
    compute_unit: ComputeUnit = "all",
    *,
    rules: Sequence[Rule] = RULES,
    flops_per_byte: float = FLOPS_PER_BYTE,
) -> list[Estimate]:
    """Estimate where Core ML runs each operation.

    Args:
        function: Of an ML Program.
        signature: Its described interface, which tells ranges of shapes from enumerated ones.
        compute_unit: Units that Core ML may use.
        rules: In order.
        flops_per_byte: FLOPs that take as long as moving a byte.

    Returns:
        Each operation that is not a ``const``, in order; those of nested blocks after their owner.
    """
    found = list(subjects(function, signature))
    decided = [_decide(subject, rules) for subject in found]
    shares = work_shares(
        [
            Cost(0, 0) if rule.verdict == "no_device" else subject.cost
            for subject, (rule, _) in zip(found, decided, strict=True)
        ],
        flops_per_byte,
    )
    allowed = ALLOWED[compute_unit]
    return [
        Estimate(
            subject.operation.outputs[0].name
            if subject.operation.outputs
            else subject.operation.name,
            subject.type,
            rule.verdict,
            rule,
            also,
            tuple(each for each in MEANINGS[rule.verdict].supported if each in allowed),
            _preferred(rule.verdict, compute_unit),
            subject.cost,
            share,
        )
        for subject, (rule, also), share in zip(found, decided, shares, strict=True)
    ]


def _decide(subject: Subject, rules: Sequence[Rule]) -> tuple[Rule, tuple[Rule, ...]]:
    """Return the first rule that holds, and the others that speak against the Neural Engine.

    One that says ``unlikely`` decides only if a later one says ``capable``.
    """
    holding = [rule for rule in rules if rule.holds(subject)]
    first = holding[0]
    if first.verdict == "unlikely":
        able = next(rule for rule in holding if rule.verdict != "unlikely")
        first = first if able.verdict == "capable" else able
    if first.verdict in ("capable", "no_device"):
        return first, ()
    against = (rule for rule in holding if rule.verdict != "capable" and rule.sources)
    return first, tuple(rule for rule in against if rule is not first)


def _preferred(verdict: Verdict, compute_unit: ComputeUnit) -> tuple[Unit, ...]:
    """Return the candidates, the likeliest first."""
    if verdict == "no_device":
        return ()
    if compute_unit == "cpu_only" or verdict == "cpu_only":
        return ("CPU",)
    if compute_unit == "cpu_and_gpu":
        # In the plans of two chips, every op of all five models, integers among them.
        return ("GPU",)
    if compute_unit == "cpu_and_ne":
        return {"capable": ("NE",), "uncertain": ("NE", "CPU")}.get(verdict, ("CPU",))  # type: ignore[return-value]
    return {"capable": ("NE", "GPU"), "uncertain": ("NE", "GPU", "CPU")}.get(  # type: ignore[return-value]
        verdict, ("CPU", "GPU")
    )
