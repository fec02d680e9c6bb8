"""What ``etcoreml run`` says: what came out, and how long it took."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from etcoreml.cli import render

_MOST_LIKELY = 5
_COLUMNS = ("output", "shape", "dtype", "min>", "max>", "mean>", "argmax>")


@dataclass(frozen=True)
class Result:
    """One run of ``etcoreml run``.

    Attributes:
        model: The file.
        callee: The method or function, e.g. ``forward()``.
        source: Where the inputs came from.
        outputs: What came out, by name: arrays, images, labels, probabilities by label.
        times_ms: Of each timed run, in milliseconds.
        where: What it ran on.
        written: Where the outputs were written.
        details: Further entries of the JSON document.
    """

    model: Path
    callee: str
    source: str
    outputs: Mapping[str, Any]
    times_ms: Sequence[float]
    where: str
    written: Path | None
    details: Mapping[str, Any] = field(default_factory=dict)


def report(result: Result, as_json: bool) -> None:
    """Print a result."""
    summaries = {name: _summary(value) for name, value in result.outputs.items()}
    latency = _latency(result.times_ms)
    if as_json:
        render.print_json(
            {
                "program": str(result.model),
                **result.details,
                "ran_on": result.where,
                "inputs": result.source,
                "outputs": [{"name": name, **summary} for name, summary in summaries.items()],
                "written": None if result.written is None else str(result.written),
                "iterations": len(result.times_ms),
                "latency_ms": {name: round(value, 4) for name, value in latency.items()},
            }
        )
        return
    strange = any("not_finite" in each for each in summaries.values())
    rows = [_row(name, each, strange) for name, each in summaries.items() if "shape" in each]
    title = f"{result.callee} of {result.model} on {result.source}"
    if rows:
        render.print_table(title, (*_COLUMNS, "inf, nan>") if strange else _COLUMNS, rows)
    else:
        typer.echo(f"\n{title}")
    facts = [(name, _sentence(each)) for name, each in summaries.items() if "shape" not in each]
    spread = (
        f"median {latency['median']:.3f} ms of {render.counted(len(result.times_ms), 'run')}, "
        f"quartiles {latency['first_quartile']:.3f} to {latency['third_quartile']:.3f}, "
        f"range {latency['min']:.3f} to {latency['max']:.3f}"
    )
    facts += [("latency", spread), ("ran on", result.where)]
    if result.written is not None:
        facts.append(("written", str(result.written)))
    typer.echo()
    render.print_facts(facts)


def as_arrays(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return outputs as arrays for a .npz; probabilities come with ``NAME.labels``."""
    import numpy as np

    arrays = {}
    for name, value in outputs.items():
        if isinstance(value, Mapping):
            arrays[name] = np.array(list(value.values()))
            arrays[f"{name}.labels"] = np.array(list(value))
        else:
            arrays[name] = np.asarray(value)
    return arrays


def _summary(value: Any) -> dict[str, Any]:
    import numpy as np

    if isinstance(value, Mapping):
        ordered = sorted(value.items(), key=lambda item: -item[1])[:_MOST_LIKELY]
        return {"most_likely": [{"label": label, "value": each} for label, each in ordered]}
    if isinstance(value, (str, int)):
        return {"label": value}
    if hasattr(value, "mode"):
        return {"image": value.mode, "width": value.width, "height": value.height}
    array = np.asarray(value)
    summary: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size:
        summary |= {
            "min": array.min().item(),
            "max": array.max().item(),
            "mean": float(array.mean(dtype=np.float64)),
            "argmax": int(array.argmax()),
        }
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            summary["not_finite"] = int((~np.isfinite(array)).sum())
    return summary


def _row(name: str, summary: dict[str, Any], strange: bool) -> tuple[object, ...]:
    numbers = (f"{summary[key]:.4g}" if key in summary else "-" for key in ("min", "max", "mean"))
    return (
        name,
        tuple(summary["shape"]),
        summary["dtype"],
        *numbers,
        summary.get("argmax", "-"),
        *((summary.get("not_finite", 0),) if strange else ()),
    )


def _sentence(summary: dict[str, Any]) -> str:
    if "label" in summary:
        return str(summary["label"])
    if "image" in summary:
        return f"{summary['image']} image, {summary['width']} x {summary['height']} pixels"
    return ", ".join(f"{each['label']} {each['value']:.4g}" for each in summary["most_likely"])


def _latency(times_ms: Sequence[float]) -> dict[str, float]:
    quartiles = statistics.quantiles(times_ms, n=4) if len(times_ms) > 1 else [times_ms[0]] * 3
    return {
        "median": statistics.median(times_ms),
        "first_quartile": quartiles[0],
        "third_quartile": quartiles[2],
        "min": min(times_ms),
        "max": max(times_ms),
    }
