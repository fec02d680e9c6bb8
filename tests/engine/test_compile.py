"""What compiling a function leaves in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function, kernels
from etcoreml.mil.open import open_model
from tests.cases import mil_builder, mil_function, normal, save_converted


def resident_kb(path: Path) -> int:
    """Return how much of a mapped file is resident in this process."""
    total, is_inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split(" ", 1)[0]:
            is_inside = line.endswith(str(path))
        elif is_inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(
    kernels.instruction_set() is None, reason="no kernels for this OpenVINO or this CPU"
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
def test_weights_are_not_resident_twice(tmp_path: Path) -> None:
    """The packed weights are kept; what they were made of is given back to the system."""

    def build(v: Any) -> Any:
        weight = (normal(1024, 1024, seed=1) / 32).astype(np.float16)
        return mil_builder().linear(x=v, weight=weight, bias=normal(1024).astype(np.float16))

    x = normal(2, 1024).astype(np.float16)
    path = save_converted(
        mil_function({"x": x}, build, "iOS17"),
        tmp_path / "wide.mlpackage",
        target="iOS17",
        precision="FLOAT16",
    )
    program_ = open_model(path)
    (weights,) = path.rglob("weight.bin")
    session = compile_function(program_, compute_unit="cpu_only", threads=1, cache_dir="")
    assert resident_kb(weights) < 1024
    session.run({"x": x})
    assert resident_kb(weights) < 1024
    (stored_,) = [data for data in program_.sources.values() if data.nbytes > 2**21]
    assert len(stored_.tobytes()) == stored_.nbytes
    assert resident_kb(weights) >= 2048  # so the file was looked for in the right place
