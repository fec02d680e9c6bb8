"""Two methods that share 100 MB of weights: on disk and in memory.

Oracle: one method alone. Only fp16 and compressed linear layers are shared in memory, and programs
that are compiled: what comes out of the model cache is mapped from one file for each function.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend
from etcoreml.engine.kernels import instruction_set
from tests.lowering import CoreMLPartitioner, lower, specs
from tests.runtime.processes import run_python

INPUTS = {"decode": (torch.zeros(1, 2048),), "prefill": (torch.zeros(32, 2048),)}

# Anonymous memory only: pages of the .pte are the file's.
LOADING = """
import ctypes, gc, json, sys
import torch
import etcoreml

def nbytes():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

program = etcoreml.load(sys.argv[1], cache_dir="")
etcoreml.load(sys.argv[2], cache_dir="").forward(torch.zeros(2))  # what every program needs
sizes = [nbytes()]
for method in ("decode", "prefill"):
    program.load(method)
    sizes.append(nbytes())
one = program.run("decode", [torch.ones(1, 2048)])
two = program.run("prefill", [torch.ones(32, 2048)])
equal = bool(torch.allclose(one[0][0], two[0][5], atol=1e-3))
print(json.dumps({"sizes": sizes, "equal": equal}))
"""


@pytest.mark.slow
@pytest.mark.skipif(instruction_set() is None, reason="the engine's kernels do not know this CPU")
def test_one_copy_on_disk_and_in_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(2048, 2048) for _ in range(12)))
    sharing = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
        MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
    )
    options = [*specs("float16"), sharing]
    for name, methods in {"one": ["decode"], "both": ["prefill", "decode"]}.items():
        pte = lower(
            dict.fromkeys(methods, network),
            {method: INPUTS[method] for method in methods},
            partitioner=CoreMLPartitioner(compile_specs=options),
        )
        (tmp_path / f"{name}.pte").write_bytes(pte)
    (tmp_path / "small.pte").write_bytes(lower(nn.ReLU(), (torch.zeros(2),)))
    one, both = ((tmp_path / f"{name}.pte").stat().st_size for name in ("one", "both"))
    assert one > 100e6
    assert both <= 1.02 * one
    outcome = run_python(LOADING, tmp_path / "both.pte", tmp_path / "small.pte", timeout_s=600)
    assert outcome.code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    start, first, second = found["sizes"]
    assert found["equal"]
    assert first - start < 1.25 * one
    assert second - first < 0.1 * (first - start)
