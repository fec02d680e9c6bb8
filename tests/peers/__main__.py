"""``make peers``: run coremltools' own tests on the portable engine, in parts, and report.

Usage: python -m tests.peers [--sample FRACTION] [--only TEXT] [--workers N] [--fresh]
           [--publish]

Records go to peers-out/; a run that was interrupted continues there, and a larger sample adds to a
smaller one. A full run (no --sample, no --only) writes docs/peers.md, another one only if asked to
by --publish, and the page says that it is a sample. The exit status is 1 if a case fails that
tests/peers/known.py does not list, or passes although it is listed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.peers import record, report
from tests.peers.known import KNOWN
from tests.peers.suites import SUITES, Suite

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "peers-out"
CASES_PER_PROCESS = 1500
"""torch.jit and OpenVINO keep memory: a fresh process now and then costs less."""

FINISHED = (0, 1, 5)
"""pytest's exit statuses: all passed, some failed, none was left. Others: a limit, or a crash."""


def main() -> int:
    """Run what has not run yet, write the results, say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers")
    parser.add_argument("--sample", type=float, default=1.0, help="part of each suite's cases")
    parser.add_argument("--only", default="", help="text in the names of the suites to run")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--fresh", action="store_true", help="forget earlier records")
    parser.add_argument("--publish", action="store_true", help="write docs/peers.md in any case")
    options = parser.parse_args()
    complete = options.sample >= 1 and not options.only
    chosen = [suite for suite in SUITES if options.only in suite.name]
    if options.fresh:
        shutil.rmtree(OUT, ignore_errors=True)
    for suite in chosen:
        _run(suite, options.sample, options.workers)
    suites = {suite.name: list(record.read(OUT / _folder(suite)).values()) for suite in chosen}
    rows = {row.test: row for part in suites.values() for row in part}
    report.write_results(OUT / "results.json", rows)
    collected = {suite.name: record.read_collected(OUT / _folder(suite)) for suite in chosen}
    text = report.render(suites, collected, KNOWN, complete=complete)
    target = ROOT / "docs" / "peers.md" if complete or options.publish else OUT / "peers.md"
    target.write_text(text)
    print(text)
    wrong = report.verdicts(rows.values(), KNOWN, complete=complete)
    for line in wrong:
        print(line[:400], file=sys.stderr)
    return 1 if wrong else 0


def pytest_command(suite: Suite, out: Path, sample: float) -> list[str]:
    """Return the command that runs the cases of a suite which have no row in ``out``."""
    site_packages = Path(str(find_spec("coremltools").origin)).parents[1]  # type: ignore[union-attr]
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "tests/peers/theirs.ini")]
    command += [f"--rootdir={site_packages}", f"--confcutdir={site_packages}"]
    command += [f"--peers-out={out}", f"--peers-sample={suite.sample * sample}"]
    command += ["-k", suite.leave_out] if suite.leave_out else []
    return command + [str(site_packages / "coremltools" / target) for target in suite.targets]


def pytest_environment() -> dict[str, str]:
    """Return the environment their tests run in."""
    return {
        **os.environ,
        "INCLUDE_MIL_FP32_UNIT_TESTS": "1",  # theirs: fp16 alone is compared within 0.5
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }


def _run(suite: Suite, sample: float, workers: int) -> None:
    """Run the cases of a suite that have no row yet, in as many processes as it takes."""
    command = pytest_command(suite, OUT / _folder(suite), sample)
    command.append(f"--peers-limit={CASES_PER_PROCESS}")
    (OUT / _folder(suite)).mkdir(parents=True, exist_ok=True)
    remaining = set(range(workers))
    while remaining:
        before = len(record.read(OUT / _folder(suite)))
        processes = {worker: _start(command, suite, worker, workers) for worker in remaining}
        for worker, process in processes.items():
            if process.wait() in FINISHED:
                remaining.discard(worker)
        rows = record.read(OUT / _folder(suite))
        print(f"{suite.name}: {record.counts(rows.values())}", flush=True)
        if remaining and len(rows) == before:
            raise SystemExit(f"no test ran; see {OUT / _folder(suite)}/worker-*.log")


def _start(command: list[str], suite: Suite, worker: int, workers: int) -> subprocess.Popen[bytes]:
    with (OUT / _folder(suite) / f"worker-{worker}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, f"--peers-worker={worker}/{workers}"],
            cwd=ROOT,
            env=pytest_environment(),
            stdout=log,
            stderr=log,
        )


def _folder(suite: Suite) -> str:
    return suite.name.replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    raise SystemExit(main())
