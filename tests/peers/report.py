"""From records to numbers, verdicts and docs/peers.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from etcoreml.atomic import write_atomic
from tests.peers.known import Known
from tests.peers.record import FAILED, PASSED, STARTED, Row, counts

_COLUMNS = ("run", "reached", "passed", "failed", "before", "xfailed", "skipped")

_HEAD = """\
# coremltools' own tests on the portable engine

Written by `make peers`; do not edit. coremltools carries tests of its MIL ops and of its torch
frontend in the wheel. On Linux they convert and stop before they predict; `tests/peers/` lets them
go on, with `etcoreml` where Apple's framework would be, in the numerics mode `fast` and at their
own tolerances. Nothing of this ran on Core ML.

Versions: {versions}. {extent}

{passed} of the {reached} cases that reach a prediction pass: {share:.2%}.

| suite | collected | left out | run | reached | passed | failed | before | xfail | skip |
|-|-|-|-|-|-|-|-|-|-|
"""

_SAMPLED = (
    "**A sample of each suite was run**, chosen by the names of the cases; `make peers` runs all."
)

_LEGEND = """
*left out*: cases whose parameters ask for a NeuralNetwork, the older kind of model, which the
engine refuses; and cases of fp16 tensors under their switch for fp32 (off by default, on here,
because fp16 is compared within 0.5), which narrows the tolerance to 1e-4 for values that fp16
cannot hold. *run*: the rest, or a sample of it chosen by name. *reached*: asked for a prediction
and is judged. *before*: failed in conversion or in the test itself, before any prediction. *xfail*:
fails by their own account, on Core ML. *skip*: their skips, and models that turn out not to be ML
Programs. Tests of compiled artefacts and of compute plans are in none of the suites: neither exists
off Apple's platforms. torch programs come through torch.jit; their tests can repeat each through
torch.export, which the tests of our own lowering do.
"""


def failures(rows: Iterable[Row]) -> list[Row]:
    """Return the cases that reached a prediction and did not pass."""
    return [row for row in rows if row.reached and row.outcome != PASSED]


def verdicts(rows: Iterable[Row], known: Sequence[Known], *, complete: bool) -> list[str]:
    """Return what is wrong: failures that no row explains, rows that explain no failure.

    Args:
        rows: Of the run.
        known: The table.
        complete: Whether everything ran; only then can a row be found without failure.
    """
    rows = [row for row in rows if row.reached]
    wrong = [
        f"not listed: {row.test}: {row.reason or 'the process died'}"
        for row in failures(rows)
        if not any(entry.matches(row.test) for entry in known)
    ]
    for entry in known:
        of_entry = [row for row in rows if entry.matches(row.test)]
        passed = [row for row in of_entry if row.outcome == PASSED]
        if entry.always and passed:
            wrong.append(f"listed, but passes: {passed[0].test} ({entry.pattern})")
        if len(passed) == len(of_entry) and (complete or of_entry):
            wrong.append(f"listed, but nothing of it fails: {entry.pattern}")
    return wrong


def write_results(path: Path, rows: Mapping[str, Row]) -> None:
    """Write every row as one JSON document."""
    document = [{**vars(row), "reached": row.reached} for row in rows.values()]
    write_atomic(path, lambda file: file.write(json.dumps(document, indent=1).encode()))


def render(
    suites: Mapping[str, Sequence[Row]],
    collected: Mapping[str, tuple[int, int]],
    known: Sequence[Known],
    *,
    complete: bool,
) -> str:
    """Return the text of docs/peers.md.

    Args:
        suites: Rows by name of suite.
        collected: By name of suite, how many cases there are and how many are ML Programs.
        known: The table of reasons.
        complete: Whether every case of the suites' own samples was run.
    """
    everything = [row for rows in suites.values() for row in rows]
    total = counts(everything)
    packages = ("coremltools", "openvino", "torch", "numpy", "pytest")
    text = _HEAD.format(
        versions=", ".join(f"{name} {version(name)}" for name in packages),
        extent="" if complete else _SAMPLED,
        share=total["passed"] / max(total["reached"], 1),
        **{name: total[name] for name in ("passed", "reached")},
    )
    for name, rows in suites.items():
        text += _line(name, *collected.get(name, (0, 0)), counts(rows))
    sums = [sum(column) for column in zip(*collected.values(), strict=True)] or [0, 0]
    text += _line("**all**", sums[0], sums[1], total) + _LEGEND
    text += "\n## Cases that reach a prediction and fail\n\n| cases | which | why |\n|-|-|-|\n"
    for entry in known:
        number = sum(entry.matches(row.test) for row in failures(everything))
        text += f"| {number} | `{entry.pattern.replace('|', chr(92) + '|')}` | {entry.reason} |\n"
    text += "\n## Cases that fail before a prediction\n\n| cases | error |\n|-|-|\n"
    reasons: dict[str, int] = {}
    for row in everything:
        if row.outcome == FAILED and not row.reached:
            first = row.reason.split(" | ")[0].replace("|", "/")[:120]
            reasons[first] = reasons.get(first, 0) + 1
    for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        text += f"| {number} | `{reason}` |\n"
    return text


def _line(name: str, cases: int, programs: int, numbers: Mapping[str, int]) -> str:
    cells = [name, cases, cases - programs, *(numbers[column] for column in _COLUMNS)]
    return f"| {' | '.join(map(str, cells))} |\n"


def died(rows: Iterable[Row]) -> list[str]:
    """Return the tests in which the process died."""
    return [row.test for row in rows if row.outcome == STARTED]
