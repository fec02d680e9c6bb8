"""coremltools is imported without a word, and the process is left as it was."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, sys, warnings
before = logging.root.manager.disable, list(warnings.filters), sys.stdout, sys.stderr
from etcoreml.mil.ct import coremltools
assert coremltools().__version__ and coremltools() is sys.modules["coremltools"]
assert logging.root.manager.disable == before[0]
assert sys.stdout is before[2] and sys.stderr is before[3]
"""


def test_importing_is_silent() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
