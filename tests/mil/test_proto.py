"""The protobufs load without coremltools, and beside it in either order."""

from __future__ import annotations

import subprocess
import sys

import pytest

USE = """
model = module("Model_pb2").Model(specificationVersion=9)
model.mlProgram.functions["main"].opset = "CoreML8"
data = model.SerializeToString()
assert module("MIL_pb2").Program.FromString(model.mlProgram.SerializeToString()).functions
"""
REAL = """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.proto import Model_pb2
"""
READ_BACK = """
assert Model_pb2.Model.FromString(data).mlProgram.functions["main"].opset == "CoreML8"
"""
OURS = "import sys\nfrom etcoreml.mil.proto import module\n"


@pytest.mark.parametrize(
    "script",
    [
        OURS + USE + "assert 'coremltools' not in sys.modules\nassert 'torch' not in sys.modules\n",
        OURS + USE + REAL + READ_BACK,
        OURS + REAL + USE + READ_BACK,
    ],
    ids=["alone", "before coremltools", "after coremltools"],
)
def test_in_a_process_of_its_own(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
