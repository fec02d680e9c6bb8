"""What a rule is: a condition, a verdict, where it comes from and how far to trust that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from etcoreml.placement.subject import Subject

Unit = Literal["CPU", "GPU", "NE"]
"""A compute unit of Apple's; NE is the Neural Engine."""

Verdict = Literal["capable", "unlikely", "uncertain", "not_capable", "cpu_only", "no_device"]

CONFIDENCE = MappingProxyType(
    {
        "A": "documented by Apple, or in its code or its engineers' words",
        "P": "seen in compute plans or messages of Core ML itself",
        "R": "measured below Core ML, which is stricter than the engine",
        "F": "one person's note",
        "-": "without a source",
    }
)
"""How far a rule can be trusted, the best first."""


@dataclass(frozen=True)
class Meaning:
    """What a verdict says.

    Attributes:
        text: For people.
        supported: Units that can run the operation, as far as is known.
        neural_engine: Whether the Neural Engine can; None if that is not known.
    """

    text: str
    supported: tuple[Unit, ...]
    neural_engine: bool | None


MEANINGS: MappingProxyType[Verdict, Meaning] = MappingProxyType(
    {
        "capable": Meaning("the Neural Engine can", ("CPU", "GPU", "NE"), True),
        "unlikely": Meaning(
            "the Neural Engine can, and is probably not chosen", ("CPU", "GPU", "NE"), True
        ),
        "uncertain": Meaning("unknown, disputed, or by chip", ("CPU", "GPU"), None),
        "not_capable": Meaning("the Neural Engine cannot", ("CPU", "GPU"), False),
        "cpu_only": Meaning("only the CPU can", ("CPU",), False),
        "no_device": Meaning("no device: done when the model is loaded", (), None),
    }
)


@dataclass(frozen=True)
class Condition:
    """A question about an operation.

    Attributes:
        text: For people, so that it follows "if".
        holds: The answer.
    """

    text: str
    holds: Callable[[Subject], bool]


@dataclass(frozen=True)
class Source:
    """Where a rule comes from.

    Attributes:
        title: Short.
        url: A link.
    """

    title: str
    url: str


@dataclass(frozen=True)
class Rule:
    """One row of the table; of those that hold, the first decides.

    Attributes:
        name: Short, unique.
        verdict: What it says.
        reason: Why, for people: a clause.
        confidence: Letters of `CONFIDENCE`.
        sources: Keys of `sources.SOURCES`.
        ops: MIL ops it is about; empty for all.
        when: What else must hold.
        change: What to do about it, if anything.
        disagreement: What other sources say.
        rests_on: By MIL op, the validation plans without which it would not be there. An op that is
            missing has other support.
    """

    name: str
    verdict: Verdict
    reason: str
    confidence: str
    sources: tuple[str, ...]
    ops: frozenset[str] = frozenset()
    when: Condition | None = None
    change: str = ""
    disagreement: str = ""
    rests_on: MappingProxyType[str, frozenset[str]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def holds(self, subject: Subject) -> bool:
        """Whether it is about an operation."""
        if self.ops and subject.type not in self.ops:
            return False
        return self.when is None or self.when.holds(subject)

    def without(self, plan: str) -> Rule | None:
        """Return the rule as it would be had a plan not been seen; None if nothing is left."""
        if not self.rests_on:
            return self
        lost = {op for op, plans in self.rests_on.items() if plans <= {plan}}
        left = self.ops - lost
        if not left:
            return None
        return replace(self, ops=left)
