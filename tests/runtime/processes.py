"""Running a piece of Python in a process of its own, as tests of start-up and exit need it."""

from __future__ import annotations

import os
import signal
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
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its forks as well
            raise
    return Outcome(process.returncode, stdout, stderr)
