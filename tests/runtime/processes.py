"""Running a piece of Python in a process of its own, as tests of start-up and exit need it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How a process ended; a negative code is the signal that killed it."""

    code: int
    stdout: str
    stderr: str


def run_python(source: str, *arguments: object, timeout_s: float = 120) -> Outcome:
    """Run dedented ``source`` with ``arguments`` in ``sys.argv[1:]``."""
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)
