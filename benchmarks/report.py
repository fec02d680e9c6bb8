"""The engine's figures as Markdown: tables, and how far each goal is met."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.runtimes import PEERS, RUNTIMES
from benchmarks.workloads import ADD, BERT, COMPRESSED, LINEARS

FAST, FAITHFUL = "ours, fast", "ours, faithful"
_MB = 1e6

Document = Mapping[str, Any]


def render(document: Document) -> str:
    """Return the whole report on a document of ``benchmarks.engine``."""
    parts = [_preface(document)]
    for threads in _threads(document):
        plural = "" if threads == "1" else "s"
        parts.append(
            _table(
                f"Latency, ms, {threads} thread{plural}: median, and half the interquartile range",
                document,
                threads,
                lambda result: _latency(result["latency_s"]),
            )
        )
    parts += [_shares(document), _load(document), _memory(document), _snr(document)]
    parts += [_abstained(document), _goals(document)]
    return "\n\n".join(part for part in parts if part) + "\n"


def goals(document: Document) -> Iterator[tuple[str, float, float]]:
    """Yield each goal as (what, found, at most), in the order of the issue."""
    for threads, name, results in _measured(document):
        if FAST not in results or name == ADD or name in COMPRESSED:
            continue
        peers = [_median(results[peer]) for peer in PEERS if peer in results]
        fast = _median(results[FAST])
        if peers:
            limit = 0.75 if name == LINEARS else 1.05
            yield f"fast / fastest peer, {name}, {threads}", fast / min(peers), limit
    for threads, name, results in _measured(document):
        expanded = _results(document, LINEARS, threads).get("OpenVINO")
        if name in COMPRESSED and expanded and FAST in results:
            ratio = _median(results[FAST]) / _median(expanded)
            yield f"{name} / fp16 expanded (OpenVINO), {threads}", ratio, 0.35
    for threads, name, results in _measured(document):
        if name != ADD and FAST in results and FAITHFUL in results:
            ratio = _median(results[FAITHFUL]) / _median(results[FAST])
            yield f"faithful / fast, {name}, {threads}", ratio, 1.3
    for threads, name, results in _measured(document):
        if name == BERT and FAST in results:
            nbytes = document["workloads"][name]["about"]["weight_nbytes"]
            yield f"warm load of {name}, s, {threads}", results[FAST]["warm_load_s"], 0.5
            memory = results[FAST]["rss_nbytes"] / nbytes
            yield f"resident memory / model file, {name}, {threads}", memory, 2.0
    for threads, name, results in _measured(document):
        if name == ADD and FAST in results:
            yield f"one {name}, us, {threads}", _median(results[FAST]) * 1e6, 15.0


def _goals(document: Document) -> str:
    rows = [
        (what, f"{found:.2f}", f"{limit:.2f}", _verdict(found, limit))
        for what, found, limit in goals(document)
    ]
    return _markdown("Goals", ("goal (threads last)", "found", "at most", ""), rows)


def _verdict(found: float, limit: float) -> str:
    return "met" if found <= limit else f"**missed** by {(found / limit - 1) * 100:.0f} %"


def _preface(document: Document) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    peaks = "; ".join(
        f"{threads} thread{'' if threads == '1' else 's'}: {peak['gflops']:.0f} GFLOP/s in f32, "
        f"{peak['read_gb_per_s']:.1f} GB/s read"
        for threads, peak in document["peaks"].items()
    )
    lines = [
        "# The engine beside its peers\n",
        "Written by `make bench`, see benchmarks/engine.py. Nothing here was run on Core ML.\n",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']};",
        f"{versions}.",
        f"Peaks measured by torch: {peaks}.",
        f"Load average before: {document['load_average_before']:.1f};",
        f"the run took {document['seconds'] / 60:.0f} minutes.",
    ]
    if document["quick"]:
        lines.append("**A quick run: it shows that the benchmark works, and no more.**")
    return "\n".join(lines)


def _latency(seconds: Mapping[str, float]) -> str:
    spread = (seconds["third_quartile"] - seconds["first_quartile"]) / 2 / seconds["median"]
    return f"{_significant(seconds['median'] * 1e3)} ±{spread * 100:.0f} %"


def _shares(document: Document) -> str:
    rows = []
    for threads, name, results in _measured(document):
        about = document["workloads"][name]["about"]
        peak = document["peaks"][threads]
        if FAST in results and about["flops"]:
            seconds = _median(results[FAST])
            rows.append(
                (
                    f"{name}, {threads}",
                    f"{about['flops'] / 1e9:.3g}",
                    f"{about['flops'] / seconds / 1e9 / peak['gflops'] * 100:.0f} %",
                    f"{about['weight_nbytes'] / _MB:.4g}",
                    f"{about['weight_nbytes'] / seconds / 1e9 / peak['read_gb_per_s'] * 100:.0f} %",
                )
            )
    header = ("fast (threads last)", "GFLOP", "of peak", "weights, MB", "of bandwidth")
    return _markdown("Share of what the machine can do", header, rows)


def _load(document: Document) -> str:
    def cell(result: Mapping[str, Any]) -> str:
        cold, warm = result["load_s"], result["warm_load_s"]
        return " / ".join(f"{each:.2f}" for each in (cold, warm) if each is not None)

    title = "Load, s, 1 thread: first time / second time, from a cache; imports left out"
    return _table(title, document, _threads(document)[0], cell)


def _memory(document: Document) -> str:
    def cell(result: Mapping[str, Any]) -> str:
        grown = result["rss_nbytes"] - result["rss_before_nbytes"]
        return f"{result['rss_nbytes'] / _MB:.0f} ({grown / _MB:.0f})"

    title = "Resident memory, MB, after a warm load and one call (and beyond the imports)"
    return _table(title, document, _threads(document)[0], cell)


def _snr(document: Document) -> str:
    def cell(result: Mapping[str, Any]) -> str:
        value = result["snr_db"]
        return "exact" if value == math.inf else f"{value:.0f}"

    title = "Signal-to-noise ratio against torch eager in fp32, dB"
    return _table(title, document, _threads(document)[0], cell)


def _abstained(document: Document) -> str:
    lines = [
        f"- {peer} on {name}: {reason}"
        for name, row in document["workloads"].items()
        for peer, reason in row["about"]["missing"].items()
    ]
    lines += [
        f"- {runtime} on {name}, {threads} threads: {result['error']}"
        for threads, name in _pairs(document)
        for runtime, result in document["workloads"][name]["threads"][threads].items()
        if "error" in result
    ]
    return "### Not run\n\n" + "\n".join(lines) if lines else ""


def _table(
    title: str, document: Document, threads: str, cell: Callable[[Mapping[str, Any]], str]
) -> str:
    rows = []
    for name in document["workloads"]:
        results = _results(document, name, threads)
        cells = (cell(results[each]) if each in results else "-" for each in RUNTIMES)
        rows.append((name, *cells))
    return _markdown(title, ("", *RUNTIMES), rows)


def _markdown(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(each)} |" for each in lines)


def _threads(document: Document) -> list[str]:
    return list(document["peaks"])


def _pairs(document: Document) -> Iterator[tuple[str, str]]:
    for name in document["workloads"]:
        for threads in _threads(document):
            yield threads, name


def _measured(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for threads, name in _pairs(document):
        yield threads, name, _results(document, name, threads)


def _results(document: Document, name: str, threads: str) -> Mapping[str, Any]:
    row = document["workloads"].get(name)
    found = row["threads"][threads] if row else {}
    return {each: result for each, result in found.items() if "error" not in result}


def _median(result: Mapping[str, Any]) -> float:
    return float(result["latency_s"]["median"])


def _significant(value: float) -> str:
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"
