"""A session made before ``os.fork()`` runs in the child, and the child exits normally."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

SETUP = """
import os, sys
import numpy as np
from etcoreml.engine import compile_function
from tests.cases import mil_builder, mil_function, normal, to_program

def network(x):
    mil = mil_builder()
    for i in range(3):
        x = mil.conv(x=x, weight=normal(16, 16, 3, 3, seed=i) / 12, pad_type="same")
        x = mil.relu(x=x)
    return mil.reduce_mean(x=x, axes=[2, 3], keep_dims=False)

x = normal(1, 16, 96, 96)
program = to_program(mil_function({"x": x}, network, "iOS15"), "iOS15")
session = compile_function(program, threads=THREADS)
request = session.create_request()
request.set_input(0, x)
before = session.run({"x": x})
sys.stdout.flush()
"""

CHILD = """
pid = os.fork()
if pid == 0:
    request.infer()
    same = np.array_equal(request.output(0), next(iter(before.values())))
    again = np.allclose(next(iter(session.run({"x": x}).values())), request.output(0))
    new = session.create_request()
    new.set_input(0, x)
    new.infer()
    fresh = compile_function(program, threads=THREADS).run({"x": x})
    close = np.allclose(next(iter(fresh.values())), request.output(0), 1e-5)
    sys.exit(0 if same and again and close else 3)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
request.infer()
np.testing.assert_array_equal(request.output(0), next(iter(before.values())))
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_after_load(threads: int) -> None:
    """In a subprocess, because a failure is a hang: the timeout is the assertion."""
    script = (textwrap.dedent(SETUP) + textwrap.dedent(CHILD)).replace("THREADS", str(threads))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("done")
