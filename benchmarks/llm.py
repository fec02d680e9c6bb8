"""A language model's tokens per second, beside the same model through XNNPACK.

``python -m benchmarks llm`` lowers a decoder of 100 million random weights in each form
(``llm_programs``), runs each in a process of its own, and asks them in turn for text. It writes
``bench-out/llm.json``; ``--publish`` puts the table into docs/language-models.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.llm_programs import ABOUT, CHUNK, CONTEXT, FORMS, PROGRAM
from benchmarks.measure import machine
from benchmarks.page import write

OUTPUT = Path("bench-out/llm.json")
PAGE = Path("docs/language-models.md")
THREADS = (1, 2)
PROMPT, STEPS, ROUNDS = 128, 64, 7
LOWERING_LIMIT_S = 900
GOAL = 1.0
OURS, PEER = "ours, int4", "XNNPACK"


def main(*, quick: bool = False, publish: bool = False) -> None:
    """Lower, measure, print and write."""
    folder = Path("bench-out/llm")
    programs = {name: _program(name, folder) for name in FORMS}
    results: dict[str, dict[str, Any]] = {
        name: about if isinstance(about, dict) else {"failed": about}
        for name, about in programs.items()
    }
    load = os.getloadavg()[0]
    for threads in THREADS:
        ready = [name for name, row in results.items() if "failed" not in row]
        for name, row in _measure(ready, folder, threads, 2 if quick else ROUNDS).items():
            results[name].setdefault("threads", {})[str(threads)] = row
    document = {
        "machine": machine(),
        "load": load,
        "prompt": PROMPT,
        "steps": STEPS,
        "rounds": ROUNDS,
        "context": CONTEXT,
        "chunk": CHUNK,
        "forms": results,
    }
    text = table(document)
    print(text)
    write(document, OUTPUT, text, PAGE if publish else None)


def table(document: Mapping[str, Any]) -> str:
    """Return the figures as Markdown, with how far the goal is met."""
    about, forms = document["machine"], document["forms"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    machine_line = (
        f"{about['processor']}, {about['cores']} cores; {versions}. "
        f"Load average before: {document['load']:.1f}."
    )
    method_line = (
        f"Medians of {document['rounds']} texts, in turns: a prompt of {document['prompt']} "
        f"tokens, {document['steps']} steps, context {document['context']}."
    )
    lines = [
        machine_line,
        method_line,
        "",
        "| form | .pte, MB | threads | tokens/s | quartiles | prompt, tokens/s | tokens as ours |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in forms.items():
        if "failed" in row:
            lines.append(f"| {name} | {row['failed']} | | | | | |")
            continue
        for threads, found in row["threads"].items():
            ours = forms[OURS]["threads"][threads]["tokens"]
            same = sum(a == b for a, b in zip(found["tokens"], ours, strict=True)) / len(ours)
            first, median, third = found["decode_rates"]
            lines.append(
                f"| {name} | {row['nbytes'] / 1e6:.1f} | {threads} | {median:.1f} "
                f"| {first:.1f} to {third:.1f} | {found['prefill_rate']:.0f} | {same:.0%} |"
            )
    lines += ["", _verdict(forms)]
    return "\n".join(lines) + "\n"


def _verdict(forms: Mapping[str, Any]) -> str:
    parts = []
    for threads, ours in forms[OURS]["threads"].items():
        rates = {
            name: row["threads"][threads]["decode_rates"][1]
            for name, row in forms.items()
            if name.startswith(PEER) and "failed" not in row
        }
        best = max(rates, key=lambda name: rates[name])
        ratio = ours["decode_rates"][1] / rates[best]
        verdict = "met" if ratio >= GOAL else "missed"
        parts.append(f"{threads} threads {ratio:.2f}x of {best} ({verdict})")
    return f"{OURS}, beside the fastest of XNNPACK (goal {GOAL:.1f}x): {'; '.join(parts)}."


def _program(name: str, folder: Path) -> dict[str, Any] | str:
    """Return what is known of a program, made if it is not there; or why it could not be."""
    where = folder / name.replace(", ", "-").replace(" ", "_")
    if not (where / ABOUT).is_file():
        print(f"lowering {name}", flush=True)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.llm_programs", name, where]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=LOWERING_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return f"was not lowered within {LOWERING_LIMIT_S} s"
        if done.returncode:
            return f"cannot be lowered: {done.stderr.strip().splitlines()[-1][:200]}"
    about: dict[str, Any] = json.loads((where / ABOUT).read_text())
    return {**about, "folder": str(where)}


def _measure(names: list[str], folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(name, folder, threads)) for name in names}
        answers: dict[str, list[Any]] = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                answer = _ask(worker, f"{PROMPT} {STEPS}")
                if turn:  # the first finds the caches full of others' data
                    answers[name].append(answer)
                    rate = STEPS / answer["decode_s"]
                    print(f"{name}, {threads} threads: {rate:.1f} tokens/s", flush=True)
    return {name: _summary(found) for name, found in answers.items()}


def _summary(answers: list[Any]) -> dict[str, Any]:
    rates = [STEPS / each["decode_s"] for each in answers]
    return {
        "decode_rates": statistics.quantiles(rates, n=4) if len(rates) > 1 else rates * 3,
        "prefill_rate": PROMPT / statistics.median(each["prefill_s"] for each in answers),
        "tokens": answers[-1]["tokens"],
    }


@contextlib.contextmanager
def _worker(name: str, folder: Path, threads: int) -> Iterator[subprocess.Popen[str]]:
    program = folder / name.replace(", ", "-").replace(" ", "_") / PROGRAM
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.llm_worker", program, str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "ETCOREML_CACHE_DIR": ""}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        _answer(process)
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _ask(process: subprocess.Popen[str], line: str) -> Any:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return _answer(process)


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    msg = f"{process.args!r} ended"
    raise RuntimeError(msg)
