"""What ``etcoreml plan`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from etcoreml import __version__
from etcoreml.choices import ComputeUnit
from etcoreml.cli import render
from etcoreml.cli.plan_parts import Part, Whole, outside_text
from etcoreml.placement import Departure, Estimate, estimate, summarise
from etcoreml.placement.core_ml import Planned, Plans
from etcoreml.placement.rule import CONFIDENCE, MEANINGS
from etcoreml.placement.sources import SOURCES
from etcoreml.runtime.compute_device import available_compute_devices

_SHOWN_NAMES = 3
_SHOWN_SOURCES = 2


def plan_document(
    model: str, whole: Whole, compute_unit: ComputeUnit, plans: Sequence[Plans] | None
) -> dict[str, Any]:
    """Return a plan as a JSON document.

    Args:
        model: As on the command line.
        whole: Its functions.
        compute_unit: Units that Core ML may use.
        plans: Core ML's own, of the model of each function, if it was asked.
    """
    return {
        "model": model,
        "compute_unit": compute_unit,
        "origin": "estimate" if plans is None else "core_ml",
        "rules_of": f"etcoreml {__version__}",
        "functions": [
            _function(part, compute_unit, None if plans is None else plans[i])
            for i, part in enumerate(whole.parts)
        ],
        "nodes_outside": whole.outside,
        "remarks": whole.remarks,
        "devices_here": [vars(each) for each in available_compute_devices()],
    }


def _function(part: Part, compute_unit: ComputeUnit, plans: Plans | None) -> dict[str, Any]:
    found = estimate(part.function, part.signature, compute_unit)
    summary = summarise(found)
    planned = None if plans is None else plans.get(part.function.name, {})
    return {
        "name": part.function.name,
        "label": part.label,
        "operations": [_operation(each, planned) for each in found],
        "counts": {verdict: summary.counts.get(verdict, 0) for verdict in MEANINGS},
        "estimated_work_shares": {
            verdict: summary.work_shares.get(verdict, 0.0) for verdict in MEANINGS
        },
        "operations_without_share": summary.without_share,
        "leaves": [_departure(each) for each in summary.departures],
    }


def _operation(each: Estimate, planned: dict[str, Planned] | Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": each.name,
        "type": each.type,
        "verdict": each.verdict,
        "neural_engine": MEANINGS[each.verdict].neural_engine,
        "supported": list(each.supported),
        "preferred": list(each.preferred),
        "rule": each.rule.name,
        "confidence": each.rule.confidence,
        "also": [rule.name for rule in each.also],
        "estimated_work_share": each.work_share,
        "flops": each.cost.flops,
        "nbytes": each.cost.nbytes,
    }
    if planned is not None:
        own = planned.get(each.name)
        document["core_ml"] = (
            None
            if own is None
            else {
                "supported": list(own.supported),
                "preferred": own.preferred,
                "estimated_cost": own.cost,
            }
        )
    return document


def _departure(each: Departure) -> dict[str, Any]:
    rule = each.rule
    return {
        "types": each.types,
        "operations": list(each.names),
        "estimated_work_share": each.work_share,
        "verdict": rule.verdict,
        "rule": rule.name,
        "reason": rule.reason,
        "change": rule.change,
        "disagreement": rule.disagreement,
        "also": [other.name for other in each.also],
        "confidence": rule.confidence,
        "sources": [SOURCES[key].url for key in rule.sources],
    }


def print_plan(document: dict[str, Any], limit: int | None) -> None:
    """Print a plan for people.

    Args:
        document: From `plan_document`.
        limit: Most rows of a table; None for all.
    """
    for function in document["functions"]:
        _print_function(document, function, limit)
    if not document["functions"]:
        typer.echo(f"{document['model']}: nothing of it goes to Core ML")
    print()
    facts: list[tuple[str, object]] = [("compute unit", _setting(document["compute_unit"]))]
    facts += [("outside", line) for line in outside_text(document["nodes_outside"])]
    facts += [("remark", each) for each in document["remarks"]]
    facts.append(("plan", _origin(document)))
    letters = {each["confidence"] for f in document["functions"] for each in f["operations"]}
    facts += [(f"confidence {key}", text) for key, text in CONFIDENCE.items() if key in letters]
    here = ", ".join(f"{each['name']} ({each['full_name']})" for each in document["devices_here"])
    facts.append(("this machine", f"its engine has {here}, through OpenVINO"))
    render.print_facts(facts)


def _print_function(document: dict[str, Any], function: dict[str, Any], limit: int | None) -> None:
    asked = document["origin"] == "core_ml"
    operations = function["operations"]
    columns: tuple[str, ...] = (
        "operation",
        "MIL op",
        "can run on",
        "probably runs on",
        "work>",
        "rule",
        "conf.",
    )
    rows = [_row(each) for each in operations]
    if asked:
        columns = (*columns[:2], "Core ML: can", "Core ML: runs on", "Core ML: cost>", *columns[2:])
        rows = [
            (*row[:2], *_core_ml_cells(each["core_ml"]), *row[2:])
            for row, each in zip(rows, operations, strict=True)
        ]
    title = f"{document['model']}, {function['label']}: " + (
        "Core ML's plan beside our estimate" if asked else "an estimate, not run on Core ML"
    )
    render.print_table(title, columns, rows[:limit])
    render.print_left_out(len(rows), limit)
    if function["leaves"] and document["compute_unit"] in ("all", "cpu_and_ne"):
        print()
        render.print_text("\n".join(_leaving(function["leaves"], limit)))
    print()
    render.print_facts(_totals(function))


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    share = each["estimated_work_share"]
    return (
        each["name"],
        each["type"],
        ", ".join(each["supported"] + (["NE?"] if each["verdict"] == "uncertain" else [])) or "-",
        " or ".join(each["preferred"]) or "-",
        "-" if share is None or each["verdict"] == "no_device" else percent(share),
        each["rule"],
        each["confidence"],
    )


def _core_ml_cells(own: dict[str, Any] | None) -> tuple[str, str, str]:
    if own is None:
        return "-", "-", "-"
    cost = own["estimated_cost"]
    return (
        ", ".join(own["supported"]) or "-",
        own["preferred"] or "-",
        "-" if cost is None else percent(cost),
    )


def _leaving(leaves: Sequence[dict[str, Any]], limit: int | None) -> list[str]:
    lines = ["What leaves the Neural Engine, or may"]
    for each in leaves[:limit]:
        names = each["operations"]
        ops = ", ".join(f"{count} {type_}" for type_, count in each["types"].items())
        share = each["estimated_work_share"]
        work = "" if share is None else f" ({percent(share)} of the work)"
        lines.append(f"  {ops}{work}: {MEANINGS[each['verdict']].text}")
        more = len(names) - _SHOWN_NAMES
        shown = ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
        told = [
            ("why", f"{each['reason']} (confidence {each['confidence']})"),
            ("try", each["change"]),
            ("but", each["disagreement"]),
            ("also", ", ".join(each["also"])),
            ("where", shown),
            ("see", ", ".join(each["sources"][:_SHOWN_SOURCES])),
        ]
        lines += [f"    {key:<5} {text}" for key, text in told if text]
    if limit is not None and len(leaves) > limit:
        lines.append(f"  and {len(leaves) - limit} more; a higher --limit prints more")
    return lines


def _totals(function: dict[str, Any]) -> list[tuple[str, object]]:
    counts, shares = function["counts"], function["estimated_work_shares"]
    whole = sum(count for verdict, count in counts.items() if verdict != "no_device")
    facts: list[tuple[str, object]] = [("operations", whole)]
    for verdict, count in counts.items():
        if count and verdict != "no_device":
            meaning = MEANINGS[verdict].text
            work = f", {percent(shares[verdict])} of the work" if shares[verdict] else ""
            facts.append((f"  {count}", f"{meaning}{work}"))
    without = function["operations_without_share"]
    if without:
        facts.append(
            (
                "no share",
                f"{without} of them, whose sizes are not known before it runs, or which are nested",
            )
        )
    return facts


def percent(share: float) -> str:
    """Return a share; what is neither nothing nor all never reads as if it were.

    >>> percent(0.0002), percent(0.9997), percent(0.5), percent(0.0)
    ('<0.1%', '>99.9%', '50.0%', '0%')
    """
    if share == 0:
        return "0%"
    if share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}" if share < 0.9995 or share > 1 - 1e-9 else ">99.9%"


def _setting(compute_unit: str) -> str:
    note = ": whether the Neural Engine or the GPU is preferred depends on the chip"
    return compute_unit + (note if compute_unit == "all" else "")


def _origin(document: dict[str, Any]) -> str:
    if document["origin"] == "core_ml":
        return "Core ML's own of this machine; the estimate is beside it"
    return (
        f"an estimate by the rules of {document['rules_of']}, not run on Core ML; work is our own "
        "estimate, not Core ML's cost (docs/placement.md)"
    )
