"""A lowering says nothing, writes nothing and leaves nothing behind.

What executorch and torch say on their own account (their warnings) is not etcoreml's to hide.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PRELUDE = """
import torch
from etcoreml.compiler import CoreMLBackend
from etcoreml.partition import CoreMLPartitioner
from executorch.exir import to_edge, to_edge_transform_and_lower

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)
    def forward(self, x):
        return torch.acosh(self.linear(x) + 2) * 3

program = torch.export.export(Net(), (torch.randn(2, 8),))
quantizer = {"mode": "linear_symmetric", "weight_threshold": 16}
"""
LOWER = """
specs = CoreMLBackend.generate_compile_specs(op_linear_quantizer_config=quantizer)
for partitioner in (CoreMLPartitioner(), CoreMLPartitioner(compile_specs=specs)):
    to_edge_transform_and_lower(program, partitioner=[partitioner]).to_executorch()
"""
FAIL = """
broken = to_edge(program).exported_program()
for node in broken.graph.nodes:
    if node.op == "call_function":
        node.args = ("nonsense", *node.args[1:])
try:
    CoreMLBackend.preprocess(broken, [])
except Exception as error:
    kept = error
    assert "could not convert" in str(error), error
else:
    raise SystemExit("did not fail")
"""
LIST = """
import os, tempfile
print("left:", sorted(os.listdir(tempfile.gettempdir())))
os._exit(0)  # without the clean-up that runs when an interpreter ends
"""


def run(script: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-u", "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_no_output(tmp_path: Path) -> None:
    done = run(PRELUDE + LOWER, tmp_path)
    assert done.stdout == ""
    assert done.stderr == ""


def test_verbose_brings_the_output_back(tmp_path: Path) -> None:
    done = run(PRELUDE + LOWER, tmp_path, ETCOREML_VERBOSE="1")
    assert "MIL" in done.stderr


def test_no_file_is_left_after_success(tmp_path: Path) -> None:
    assert run(PRELUDE + LOWER + LIST, tmp_path).stdout.splitlines()[-1] == "left: []"


def test_no_file_is_left_after_failure(tmp_path: Path) -> None:
    assert run(PRELUDE + FAIL + LIST, tmp_path).stdout.splitlines()[-1] == "left: []"


def test_no_file_is_left_after_an_interrupt(tmp_path: Path) -> None:
    interrupt = """
import etcoreml.compiler.convert as convert
def interrupted(*_):
    raise KeyboardInterrupt
convert.read_handles = interrupted
try:
    to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])
except KeyboardInterrupt as error:
    kept = error
else:
    raise SystemExit("was not interrupted")
"""
    assert run(PRELUDE + interrupt + LIST, tmp_path).stdout.splitlines()[-1] == "left: []"
