"""Nothing stays in the temporary directory: after success, after failure, and after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import sys, tempfile
from pathlib import Path
import torch
from etcoreml.blob import Directory
from etcoreml.compiler import passes, torch_ops
from tests.pipeline import options
"""
SUCCESS = """
for name in ("islands", "shared methods", "quantiser", "failing"):
    options.lowered(name)
"""
FAILURE = """
def fails(*args):
    raise ValueError("not today")
def lowered(name):
    try:
        options.lowered(name)
    except Exception as error:
        print(type(error).__name__)
digest, Directory.digest = Directory.digest, fails
lowered("quantiser")
lowered("shared methods")
Directory.digest, passes.run = digest, fails
lowered("enumerated")
lowered("whole graph")
"""
INTERRUPT = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if pytest runs in the background
def waits(*args):
    found = list(Path(tempfile.gettempdir()).iterdir())
    print("waiting" if found else "no scratch directory", flush=True)
    time.sleep(100)
{place} = waits
options.lowered("{name}")
"""


def run(script: str, directory: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TMPDIR": str(directory),
        # torch makes its own cache directory there otherwise, when it is imported
        "TORCHINDUCTOR_CACHE_DIR": str(directory.with_name(f"{directory.name}_inductor")),
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_in(directory: Path) -> list[str]:
    return [each.name for each in directory.rglob("*")]


def test_success(tmp_path: Path) -> None:
    process = run(SUCCESS, tmp_path)
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert left_in(tmp_path) == []


def test_failure(tmp_path: Path) -> None:
    process = run(FAILURE, tmp_path)
    said, told = process.communicate()
    assert process.returncode == 0, told
    assert said.split()[-4:] == ["ValueError", "ValueError", "LowerError", "LowerError"]
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("passes.run", "default"),  # in the middle of a conversion
        ("Directory.digest", "default"),  # with weights on disk
        ("Directory.digest", "shared methods"),  # with packages of coremltools on disk
    ],
)
def test_interrupt(tmp_path: Path, place: str, name: str) -> None:
    process = run(INTERRUPT.format(place=place, name=name), tmp_path)
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith(("waiting", "no scratch")))
    assert line.strip() == "waiting"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert "KeyboardInterrupt" in told
    assert left_in(tmp_path) == []
