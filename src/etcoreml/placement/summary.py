"""What the estimates of a function come to, and what leaves the Neural Engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from etcoreml.placement.estimate import Estimate
from etcoreml.placement.rule import Rule, Verdict

_STAYS: frozenset[Verdict] = frozenset({"capable", "no_device"})


def leaves(verdict: Verdict) -> bool:
    """Whether an operation leaves the Neural Engine, or may."""
    return verdict not in _STAYS


@dataclass(frozen=True)
class Departure:
    """Operations that leave, or may leave, the Neural Engine for one reason.

    Attributes:
        rule: The reason.
        also: Further reasons that some of them have.
        types: How many there are of each MIL op, the most frequent first.
        names: The operations, in order.
        work_share: Of all of them; None if a size varies.
    """

    rule: Rule
    also: tuple[Rule, ...]
    types: dict[str, int]
    names: tuple[str, ...]
    work_share: float | None


@dataclass(frozen=True)
class Summary:
    """Of a function.

    Attributes:
        counts: Operations that have a device, by verdict.
        work_shares: Their shares of the work, by verdict; empty if none is known.
        without_share: Operations whose share is not known: a size varies, or they are nested.
        departures: What is not simply capable, the most work first.
    """

    counts: dict[Verdict, int]
    work_shares: dict[Verdict, float]
    without_share: int
    departures: tuple[Departure, ...]

    @property
    def operations(self) -> int:
        """Operations that have a device."""
        return sum(self.counts.values())


def summarise(estimates: Sequence[Estimate]) -> Summary:
    """Return what the estimates of one function come to."""
    placed = [each for each in estimates if each.verdict != "no_device"]
    shares: Counter[Verdict] = Counter()
    for each in placed:
        if each.work_share is not None:
            shares[each.verdict] += each.work_share  # type: ignore[assignment]
    groups: dict[str, list[Estimate]] = {}
    for each in placed:
        if leaves(each.verdict):
            groups.setdefault(each.rule.name, []).append(each)
    departures = [
        Departure(
            group[0].rule,
            tuple({rule.name: rule for each in group for rule in each.also}.values()),
            dict(Counter(each.type for each in group).most_common()),
            tuple(each.name for each in group),
            _share(group),
        )
        for group in groups.values()
    ]
    return Summary(
        dict(Counter(each.verdict for each in placed).most_common()),
        dict(shares),
        sum(each.work_share is None for each in placed),
        tuple(sorted(departures, key=lambda each: -(each.work_share or 0))),
    )


def _share(group: Sequence[Estimate]) -> float | None:
    known = [each.work_share for each in group if each.work_share is not None]
    return sum(known) if len(known) == len(group) else None
