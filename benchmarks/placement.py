"""The estimates of ``etcoreml plan`` beside real plans: ``python -m benchmarks placement``.

Five networks whose Core ML compute plans are published (benchmarks/data/plans.json) are rebuilt
with random weights and estimated, each without what was learnt from its own plan: the ops that only
it shows on the Neural Engine, and its part in the one constant that was fitted. It writes
``bench-out/placement.json``; ``--publish`` puts the table into docs/placement.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import write
from benchmarks.placement_networks import NETWORKS, converted
from etcoreml.choices import ComputeUnit
from etcoreml.placement import Estimate, estimate
from etcoreml.placement.rule import Rule
from etcoreml.placement.rules import RULES
from etcoreml.placement.work import work_shares
from etcoreml.trace.cost import Cost

DATA = Path(__file__).parent / "data" / "plans.json"
OUTPUT = Path("bench-out/placement.json")
PAGE = Path("docs/placement.md")
AGREEMENT, SHARE = 0.95, 0.05
FITTED = tuple(round(10 * 2 ** (i / 4)) for i in range(22))
"""Constants that are tried, in FLOPs per byte: 10 to 380."""

Operations = Sequence[tuple[str, str, Sequence[str], float]]


def plans() -> dict[str, Any]:
    """Return the published plans."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def rules_without(plan: str) -> list[Rule]:
    """Return the rules as they would be, had a plan not been seen."""
    return [left for rule in RULES if (left := rule.without(plan)) is not None]


def aligned(estimates: Sequence[Estimate], operations: Operations) -> list[Estimate]:
    """Return the estimates of the operations of a plan, one for each.

    Raises:
        ValueError: The rebuilt network has other operations.
    """
    own = list(estimates)
    # SigLIP's plan is of a model that takes fp16; the rebuilt one casts its input first.
    if own[0].type == "cast" and operations[0][0] != "cast":
        own = own[1:]
    if [each.type for each in own] != [each[0] for each in operations]:
        msg = "the rebuilt network has other operations than its plan"
        raise ValueError(msg)
    return own


def compare(
    estimates: Sequence[Estimate], operations: Operations
) -> tuple[int, list[dict[str, Any]]]:
    """Count the operations whose supported units agree, and list the others.

    An estimate that says "uncertain" agrees with nothing.
    """
    wrong = [
        {
            "name": own.name,
            "type": own.type,
            "rule": own.rule.name,
            "ours": list(own.supported),
            "plan": list(supported),
        }
        for own, (_, _, supported, _) in zip(estimates, operations, strict=True)
        if own.verdict == "uncertain" or set(own.supported) != set(supported)
    ]
    return len(operations) - len(wrong), wrong


def neural_engine_share(estimates: Sequence[Estimate], weights: Sequence[float]) -> float:
    """Return the share of the weights of what is estimated to run on the Neural Engine."""
    whole = sum(weights)
    on = (each.preferred == ("NE",) for each in estimates)
    return sum(weight for weight, is_on in zip(weights, on, strict=True) if is_on) / whole


def distance(shares: Sequence[float | None], weights: Sequence[float]) -> float:
    """Return the share of the work that is on other operations than in the plan, from 0 to 1."""
    known = sum(each or 0 for each in shares)
    return (
        sum(
            abs((share or 0) / known - weight)
            for share, weight in zip(shares, weights, strict=True)
        )
        / 2
    )


def fit(costs: Mapping[str, Sequence[Cost]], weights: Mapping[str, Sequence[float]]) -> float:
    """Return the constant with which the shares are nearest to the weights, on average."""
    return min(
        FITTED,
        key=lambda constant: sum(
            distance(work_shares(costs[name], constant), weights[name]) for name in costs
        ),
    )


def measure(names: Sequence[str] = tuple(NETWORKS)) -> dict[str, Any]:
    """Estimate the networks and compare."""
    known = plans()
    own: dict[str, list[Estimate]] = {}
    under_ne: dict[str, list[Estimate]] = {}
    for name in names:
        plan = known["plans"][name]
        rules, unit = rules_without(name), plan["compute_unit"]
        with converted(name) as program:
            own[name] = _estimated(program, unit, rules, plan)
            under_ne[name] = _estimated(program, "cpu_and_ne", rules, plan)
    weights = {name: [row[3] for row in known["plans"][name]["operations"]] for name in own}
    costs = {name: [each.cost for each in found] for name, found in own.items()}
    rows = {}
    for name, found in own.items():
        plan = known["plans"][name]
        agreed, wrong = compare(found, plan["operations"])
        kept = [row for row in plan["operations"] if "NE" not in row[2]]
        others = {key: costs[key] for key in costs if key != name} or costs
        constant = fit(others, weights)
        shares = work_shares(costs[name], constant)
        rows[name] = {
            "model": plan["model"],
            "compute_unit": plan["compute_unit"],
            "operations": len(found),
            "agreed": agreed,
            "disagreements": wrong,
            "off_in_plan": len(kept),
            "off_in_both": sum(
                "NE" not in row[2] and "NE" not in each.supported and each.verdict != "uncertain"
                for each, row in zip(found, plan["operations"], strict=True)
            ),
            "plan_share": {
                machine: shares_[name]
                for machine, shares_ in known["neural_engine_share_by_weight"].items()
            },
            "share_by_their_weights": neural_engine_share(under_ne[name], weights[name]),
            "share_by_our_work": neural_engine_share(
                under_ne[name], [each or 0 for each in shares]
            ),
            "flops_per_byte": constant,
            "work_distance": distance(shares, weights[name]),
        }
    return {"networks": rows, "flops_per_byte": fit(costs, weights)}


def _estimated(
    program: Any, unit: ComputeUnit, rules: Sequence[Rule], plan: Mapping[str, Any]
) -> list[Estimate]:
    found = estimate(program.function(), program.signature, unit, rules=rules)
    return aligned(found, plan["operations"])


def is_met(row: Mapping[str, Any]) -> bool:
    """Whether a network's estimates are as near to its plan as they should be."""
    share = next(iter(row["plan_share"].values()))
    return row["agreed"] >= AGREEMENT * row["operations"] and all(
        abs(row[key] - share) <= SHARE for key in ("share_by_their_weights", "share_by_our_work")
    )


def table(document: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown."""
    rows = document["networks"]
    machines = list(next(iter(rows.values()))["plan_share"])
    lines = [
        (
            "| network | supported units agree (>= 95 %) | not on the Neural Engine, found "
            f"| Neural Engine's share under `cpu_and_ne`: {'; '.join(machines)} "
            "| ours, by the plan's weights (within 5 points) "
            "| ours, by `estimated_work_share` (within 5 points) | work misplaced |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        theirs = "; ".join(f"{share:.1%}" for share in row["plan_share"].values())
        lines.append(
            f"| {name} | {row['agreed']} of {row['operations']} "
            f"| {row['off_in_both']} of {row['off_in_plan']} | {theirs} "
            f"| {row['share_by_their_weights']:.1%} | {row['share_by_our_work']:.1%} "
            f"| {row['work_distance']:.0%} |"
        )
    whole = sum(row["operations"] for row in rows.values())
    agreed = sum(row["agreed"] for row in rows.values())
    off = sum(row["off_in_plan"] for row in rows.values())
    missed = [name for name, row in rows.items() if not is_met(row)]
    constants = ", ".join(f"{row['flops_per_byte']:.0f}" for row in rows.values())
    lines += [
        "",
        f"{agreed} of {whole} agree. Saying that the Neural Engine can run every operation would "
        f"reach {whole - off} of {whole}. "
        + (f"Short of the goals: {', '.join(missed)}." if missed else "All goals are met."),
        "",
        (
            "The constant of `estimated_work_share`, in FLOPs per byte, fitted without the network "
            f"of each row: {constants}; with all: {document['flops_per_byte']:.0f}."
        ),
        "",
        "Disagreements:",
    ]
    wrong = [(name, each) for name, row in rows.items() for each in row["disagreements"]]
    lines[-1] += " none." if not wrong else "\n"
    lines += [
        f"- {name}, {each['type']} `{each['name']}`: the plan has {', '.join(each['plan'])}, we "
        f"have {', '.join(each['ours'])} ({each['rule']})"
        for name, each in wrong
    ]
    return "\n".join(lines) + "\n"


def main(names: Sequence[str] = (), *, publish: bool = False) -> None:
    """Compare, print and write."""
    chosen = [name for name in NETWORKS if not names or any(part in name for part in names)]
    document = measure(chosen)
    text = table(document)
    print(text)
    write(document, OUTPUT, text, PAGE if publish else None)
