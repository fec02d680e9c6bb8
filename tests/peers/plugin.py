"""A pytest plugin that lets coremltools' own tests predict on this machine.

They come in coremltools' wheel; on Linux they convert and stop. Loaded with ``-p
tests.peers.plugin``, this makes the test process believe in a recent macOS wherever their gates
ask, puts :class:`~tests.peers.proxy.ModelProxy` where Apple's framework would be, and records for
each test whether it reached a prediction and how it ended.
"""

from __future__ import annotations

import gc
import os
import platform
import random
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.peers import record
from tests.peers.proxy import Calls, ModelProxy

MACOS = (15, 5)
"""The version pretended: the first whose Core ML has every opset and no bug their gates name."""


MORE_LEFT = 64
"""Exit status: the limit was reached, and another process has to go on."""

_MORE_LEFT = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("peers", "coremltools' tests on the portable engine")
    group.addoption("--peers-out", type=Path, help="folder of records; what is there is not rerun")
    group.addoption("--peers-worker", default="0/1", help="k/n: the k-th of n equal parts")
    group.addoption("--peers-sample", type=float, default=1.0, help="fraction of cases to run")
    group.addoption("--peers-limit", type=int, default=None, help="cases to run at most")


def pytest_configure(config: pytest.Config) -> None:
    pretend_macos()
    pretend_arm64()
    mend_numpy()
    if (out := config.getoption("peers_out")) is not None:
        config.pluginmanager.register(Recorder(out, config.getoption("peers_worker")))


def pretend_macos() -> None:
    """Open coremltools' gates and put our proxy in place, in this process only."""
    import coremltools._deps  # noqa: TID251 - it is what is pretended to
    import coremltools.models.model  # noqa: TID251

    coremltools._deps._IS_MACOS = True
    coremltools.models.model._MLModelProxy = ModelProxy
    for module in [m for name, m in sys.modules.items() if name.startswith("coremltools")]:
        for name, value in (("_is_macos", lambda: True), ("_macos_version", lambda: MACOS)):
            if hasattr(module, name):
                setattr(module, name, value)


def pretend_arm64() -> None:
    """Let coremltools' tests, and nothing else, see the processor that none of them is skipped on.

    On Intel Macs, for which torch is no longer made, they skip attention among others.
    """
    # On arm64 each torch case would be run through three frontends.
    os.environ.setdefault("TORCH_FRONTENDS", "TORCHSCRIPT")
    actual = platform.machine

    def machine() -> str:
        caller = sys._getframe(1).f_globals.get("__file__", "")
        return "arm64" if "coremltools" in Path(caller).parts else actual()

    platform.machine = machine


def mend_numpy() -> None:
    """Let coremltools 9.0 turn arrays of one element into numbers, as NumPy did before 2.4."""
    from coremltools.converters.mil.frontend.torch import ops  # noqa: TID251

    def scalar(kind: type) -> type:
        class OfArrays(type):
            def __instancecheck__(cls, value: object) -> bool:
                return isinstance(value, kind)

            def __call__(cls, value: Any) -> Any:
                return kind(np.asarray(value).item())

        return OfArrays(kind.__name__, (), {})

    original = ops._cast
    ops._cast = lambda context, node, kind, name: original(context, node, scalar(kind), name)


@pytest.hookimpl(tryfirst=True)
def pytest_make_parametrize_id(val: object, argname: str) -> str:
    """Name a parameter as coremltools' conftest does, without the addresses of objects."""
    return f"{argname}={re.sub(r' at 0x[0-9a-f]+', '', str(val))}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = config.getoption("peers_out")
    done = record.read(out) if out else {}
    sample, limit = config.getoption("peers_sample"), config.getoption("peers_limit")
    worker, workers = map(int, config.getoption("peers_worker").split("/"))
    eligible = [item for item in items if not (is_neural_network(item) or is_too_exact(item))]
    if out and worker == 0:
        record.write_collected(out, len(items), len(eligible))
    waiting = [
        item
        for item in eligible
        if share(item.nodeid) < sample
        and zlib.adler32(item.nodeid.encode()) % workers == worker
        and item.nodeid not in done
    ]
    chosen = waiting[:limit]
    config.stash[_MORE_LEFT] = len(waiting) > len(chosen)
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash.get(_MORE_LEFT, False):
        session.exitstatus = MORE_LEFT


def is_neural_network(item: pytest.Item) -> bool:
    """Whether a test's parameters ask for the backend that is not an ML Program."""
    spec = getattr(item, "callspec", None)
    return spec is not None and any(_asks_for_nn(value) for value in spec.params.values())


def is_too_exact(item: pytest.Item) -> bool:
    """Whether a test compares fp16 tensors as if they were fp32, which nothing can pass.

    Their switch for fp32, off by default, narrows the tolerance to 1e-4 also where the tensors are
    fp16 by parameter, and expects values that fp16 cannot hold.
    """
    params = getattr(getattr(item, "callspec", None), "params", {}).values()
    precise = any(
        getattr(value, "precision", None) == "fp32" or value == ("mlprogram", "fp32")
        for value in params
    )
    return precise and any(_is_half(value) for value in params)


def _is_half(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_half, value))
    return value is np.float16 or (isinstance(value, str) and value == "fp16")


def _asks_for_nn(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_asks_for_nn(part) for part in value)
    return getattr(value, "backend", value) == "neuralnetwork"


def share(nodeid: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the test's name."""
    return zlib.crc32(nodeid.encode()) / 2**32


def pytest_collection_finish() -> None:
    """Spare the collector what was imported: ct.convert collects each time, 0.3 s with it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed every source of randomness by the test's name: it fails alone as it fails in a run."""
    import torch

    seed = zlib.crc32(item.nodeid.encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what their tests draw from
    torch.manual_seed(seed)
    Calls.count = 0


class Recorder:
    """Writes one row per test."""

    def __init__(self, out: Path, worker: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._file = (out / f"worker-{worker.replace('/', '-of-')}.jsonl").open("a")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        record.append(self._file, record.Row(nodeid, record.STARTED))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        outcome = (
            record.XFAILED if hasattr(report, "wasxfail") and report.skipped else report.outcome
        )
        record.append(
            self._file,
            record.Row(report.nodeid, outcome, Calls.count, _reason(report), report.duration),
        )

    def pytest_unconfigure(self) -> None:
        self._file.close()


def _reason(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # of a skip: path, line, message
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = (crash is not None and crash.message) or str(report.longrepr).splitlines()[-1]
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())[:400]
