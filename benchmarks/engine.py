"""The engine beside its peers: latency, load, memory and call overhead of whole networks.

``python -m benchmarks.engine [--quick] [WORKLOAD ...]`` writes ``bench-out/engine.json`` and
``bench-out/engine.md``. Each contestant is a process of its own; all of one workload are
loaded, and asked in turn, in an order that changes, to run for a moment, so that noise falls on
all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from benchmarks.report import render
from benchmarks.runtimes import RUNTIMES
from benchmarks.workloads import QUICK, names
from etcoreml.atomic import write_atomic

OUTPUT = Path("bench-out")
PUBLISHED = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
THREADS = (1, 2)
_DONE = "about.json"


class _Worker:
    """A contestant's process."""

    def __init__(self, folder: Path, name: str, threads: int, caches: Path) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        cache = caches if RUNTIMES[name].caches else ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", folder, name, str(threads), str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "ETCOREML_CACHE_DIR": str(cache), "OMP_NUM_THREADS": str(threads)},
        )
        self.about: dict[str, Any] = self._reply()

    def times(self, seconds: float) -> list[float]:
        """Return the seconds of each call of a turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        times: list[float] = self._reply()
        return times

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._log.close()

    def _reply(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._log.seek(0)
        said = self._log.read().strip().splitlines()
        msg = said[-1] if said else f"exit code {self._process.returncode}"
        self.close()
        raise RuntimeError(msg)


def _stamp() -> str:
    """Return what prepared files depend on: versions, and the code that makes them."""
    folder = Path(__file__).parent
    sources = [folder / f"{name}.py" for name in ("prepare", "networks", "workloads")]
    sources += sorted((folder.parent / "tests").glob("**/*networks.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return f"{machine()['versions']} {code}"


def _prepare(name: str) -> Path:
    """Return the workload's folder; its files are made once."""
    folder = OUTPUT / "workloads" / name
    stamp = folder / "stamp"
    if not (stamp.is_file() and stamp.read_text() == _stamp() and (folder / _DONE).is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.prepare", name, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"{name} cannot be prepared: {done.stderr.strip().splitlines()[-1]}"
            raise SystemExit(msg)
        stamp.write_text(_stamp())
    return folder


def _contestants(folder: Path) -> Iterator[str]:
    for name, runtime in RUNTIMES.items():
        if runtime.file is None or (folder / runtime.file).exists():
            yield name


def _measure(
    folder: Path, threads: int, caches: Path, rounds: int, seconds: float
) -> dict[str, Any]:
    workers: dict[str, _Worker] = {}
    results: dict[str, Any] = {}
    # A worker waits without computing until it is asked, and its runtime's threads sleep.
    with contextlib.ExitStack() as stack:
        for name in _contestants(folder):
            own = caches / name
            is_warm = own.exists()
            own.mkdir(exist_ok=True)
            try:
                worker = _Worker(folder, name, threads, own)
                first = worker.about["load_s"]
                if RUNTIMES[name].caches and not is_warm:
                    worker.close()
                    worker = _Worker(folder, name, threads, own)
            except RuntimeError as error:
                results[name] = {"error": str(error)}
                continue
            stack.callback(worker.close)
            workers[name] = worker
            results[name] = {
                **worker.about,
                "load_s": None if is_warm else first,
                "warm_load_s": worker.about["load_s"] if RUNTIMES[name].caches else None,
            }
        times: dict[str, list[float]] = {name: [] for name in workers}
        order = list(workers)
        for _ in range(rounds):
            random.Random(len(times[order[0]])).shuffle(order)
            for name in order:
                times[name] += workers[name].times(seconds)
    for name, values in times.items():
        first, median, third = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        results[name]["latency_s"] = {
            "median": median,
            "first_quartile": first,
            "third_quartile": third,
            "min": min(values),
            "count": len(values),
        }
    return results


def _peak(threads: int) -> Any:
    command = [sys.executable, "-m", "benchmarks.peak", str(threads)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main(chosen: list[str] | None = None, *, quick: bool = False, publish: bool = False) -> None:
    """Measure, print and write.

    Args:
        chosen: Parts of the workloads' names; all of them by default.
        quick: Only the small workloads, and few calls: whether it works, not how fast.
        publish: Write the tables to docs/benchmarks.md too.
    """
    started = time.perf_counter()
    rounds, seconds = (2, 0.05) if quick else (5, 0.25)
    selected = list(QUICK) if quick and not chosen else names(chosen or [])
    document: dict[str, Any] = {
        "machine": machine(),
        "load_average_before": os.getloadavg()[0],
        "quick": quick,
        "peaks": {str(threads): _peak(threads) for threads in THREADS},
        "workloads": {},
    }
    for name in selected:
        folder = _prepare(name)
        row = {"about": json.loads((folder / _DONE).read_text()), "threads": {}}
        document["workloads"][name] = row
        with tempfile.TemporaryDirectory() as caches:
            for threads in THREADS:
                results = _measure(folder, threads, Path(caches), rounds, seconds)
                row["threads"][str(threads)] = results
                latency = {
                    each: f"{result['latency_s']['median'] * 1e3:.4g}"
                    for each, result in results.items()
                    if "latency_s" in result
                }
                print(f"{name}, {threads} threads, ms: {latency}", flush=True)
    document["seconds"] = time.perf_counter() - started
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "engine.json").write_text(json.dumps(document, indent=2) + "\n")
    text = render(document)
    (OUTPUT / "engine.md").write_text(text)
    if publish:
        write_atomic(PUBLISHED, lambda file: file.write(text.encode()))
    print(f"\n{text}\nwritten: {OUTPUT}/engine.json, {OUTPUT}/engine.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of workloads' names")
    parser.add_argument("--quick", action="store_true", help="small workloads, few calls")
    given = parser.parse_args()
    main(given.names, quick=given.quick)
