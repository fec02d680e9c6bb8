"""What ``etcoreml profile`` says."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from etcoreml.cli import render
from etcoreml.trace.chrome import Slice, trace_text
from etcoreml.trace.profile import UNNAMED, Group, Profile, Profiled, grouped
from etcoreml.trace.roofline import Roofline

_OF_OPS = ("operation", "median ms>", "share>", "MFLOP>", "GFLOP/s>", "MB>", "of roofline>")
_OF_GROUPS = ("ops>", "median ms>", "share>", "GFLOP/s>")

_OVER_100 = {
    "memory": "an operation's operands were in a cache, which is faster than memory",
    "compute": "it computed in int8 or bf16, which is faster than f32",
}
"""What it means that an operation beat a limit of the machine."""


def print_profile(
    model: str,
    profile: Profile,
    limits: Roofline,
    by: str,
    limit: int | None,
    written: Sequence[tuple[str, str]],
) -> None:
    """Print a profile as a table, the most expensive rows first.

    Args:
        model: What was profiled.
        profile: What was measured.
        limits: Of this machine.
        by: ``op``, ``type`` or ``module``.
        limit: Most rows; None for all.
        written: What else was written, and where.
    """
    whole = profile.median_ms
    beaten: set[str] = set()
    if by == "op":
        ordered = sorted(profile.operations, key=lambda each: -each.median_ms)
        has_nodes = any(each.aten_ops for each in ordered)
        columns: tuple[str, ...] = (*_OF_OPS, "ATen nodes", "source") if has_nodes else _OF_OPS
        rows = [_op_row(each, whole, limits, has_nodes) for each in ordered]
        beaten.update(*(each.beaten_limits(limits) for each in ordered[:limit]))
    else:
        columns = ("MIL op" if by == "type" else "module", *_OF_GROUPS)
        groups = grouped(
            profile.operations, lambda each: each.type if by == "type" else each.module
        )
        rows = [_group_row(each, whole) for each in groups]
    missing = modules_missing(profile)
    lost = statistics.median(profile.unattributed_ms)
    render.print_table(f"{model}: where the time goes", columns, rows[:limit])
    print()
    facts = [
        ("run", f"{whole:.3f} ms, median of {len(profile.whole_ms)}"),
        ("operations", f"{sum(each.median_ms for each in profile.operations):.3f} ms"),
        ("no operation's", f"{lost:.3f} ms: calls, waiting, measuring"),
        (
            "this machine",
            f"{limits.gflops:.0f} GFLOP/s in f32, {limits.gb_per_s:.0f} GB/s from memory, measured",
        ),
        *((("over 100 %", _over_100(beaten)),) if beaten else ()),
        *((("modules", f"unknown: {missing}"),) if missing else ()),
        ("ran on", profile.details["ran_on"]),
        *written,
    ]
    render.print_facts(facts)
    render.print_left_out(len(rows), limit)


def profile_document(model: str, profile: Profile, limits: Roofline) -> dict[str, Any]:
    """Return a profile as a JSON document."""
    missing = modules_missing(profile)
    return {
        "model": model,
        **profile.details,
        "iterations": len(profile.whole_ms),
        "run_ms": profile.median_ms,
        "unattributed_ms": statistics.median(profile.unattributed_ms),
        "gflops_limit": limits.gflops,
        "gb_per_s_limit": limits.gb_per_s,
        "operations": [
            _op_document(each, profile.median_ms, limits) for each in profile.operations
        ],
        "types": [_group_document(each) for each in grouped(profile.operations, _type)],
        "modules": [_group_document(each) for each in grouped(profile.operations, _module)]
        if missing is None
        else [],
        "modules_missing": missing,
    }


def modules_missing(profile: Profile) -> str | None:
    """Return why nothing is known of modules, ATen nodes and sources; None if something is."""
    if any(each.aten_ops or each.module for each in profile.operations):
        return None
    if "function" in profile.details:
        return "a Core ML model does not tell them, nor ATen nodes and source lines"
    return (
        "--etrecord adds them, ATen nodes and source lines; `etcoreml export --etrecord` writes "
        "one, export-llm does not"
    )


def trace_of(profile: Profile, model: str) -> str:
    """Return the median times of all operations, end to end, as a trace."""
    slices = [Slice(Path(model).name, 0, profile.median_ms * 1e3, "run", dict(profile.details))]
    at = 0.0
    for each in profile.operations:
        details = {
            "kernel": each.kernel,
            "fused with": ", ".join(each.fused_with),
            "ATen": ", ".join(each.aten_ops),
            "source": ", ".join(each.source),
            "module": each.module,
            "FLOPs": each.cost.flops,
            "bytes": each.cost.nbytes,
        }
        duration = each.median_ms * 1e3
        shown = {name: value for name, value in details.items() if value}
        slices.append(Slice(each.name, at, duration, "operations", shown))
        at += duration
    return trace_text(slices, "etcoreml profile: medians, end to end")


def _over_100(beaten: Iterable[str]) -> str:
    causes = [_OVER_100[name] for name in sorted(beaten, reverse=True)]
    return "; or ".join((*causes, "others took the machine while its limits were measured"))


def _type(each: Profiled) -> str:
    return each.type


def _module(each: Profiled) -> str:
    return each.module


def _op_row(each: Profiled, whole: float, limits: Roofline, has_nodes: bool) -> tuple[object, ...]:
    share = each.roofline_share(limits)
    cells = (
        each.name,
        f"{each.median_ms:.4f}",
        f"{each.median_ms / whole:.1%}",
        _number(each.cost.flops, 1e6),
        "-" if not each.gflops_per_s else f"{each.gflops_per_s:.1f}",
        _number(each.cost.nbytes, 1e6),
        "-" if share is None else f"{share:.0%}",
    )
    nodes = (", ".join(each.aten_ops) or "-", ", ".join(Path(x).name for x in each.source) or "-")
    return (*cells, *nodes) if has_nodes else cells


def _group_row(group: Group, whole: float) -> tuple[object, ...]:
    speed = (group.cost.flops or 0) / group.median_ms / 1e6 if group.median_ms else 0
    return (
        group.name,
        group.count,
        f"{group.median_ms:.4f}",
        f"{group.median_ms / whole:.1%}",
        f"{speed:.1f}" if speed else "-",
    )


def _number(value: int | None, unit: float) -> str:
    return "-" if value is None else f"{value / unit:.3f}"


def _op_document(each: Profiled, whole: float, limits: Roofline) -> dict[str, Any]:
    return {
        "name": each.name,
        "type": each.type,
        "median_ms": each.median_ms,
        "times_ms": list(each.times_ms),
        "share": each.median_ms / whole if whole else None,
        "flops": each.cost.flops,
        "nbytes": each.cost.nbytes,
        "gflops_per_s": each.gflops_per_s,
        "roofline_share": each.roofline_share(limits),
        "kernel": each.kernel,
        "fused_with": list(each.fused_with),
        "aten_ops": list(each.aten_ops),
        "source": list(each.source),
        "module": each.module,
    }


def _group_document(group: Group) -> dict[str, Any]:
    name = None if group.name == UNNAMED else group.name
    return {"name": name, "count": group.count, "median_ms": group.median_ms}
