"""The same model and options give the same bytes in every process.

Processes differ in their hash seed and in where objects lie in memory, which is what sets and maps
are ordered by.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from etcoreml.compiler.specs import COMPILE_SPEC_KEYS
from tests.architectures.catalogue import FAMILIES
from tests.lowering import lower
from tests.networks import ZOO
from tests.pipeline.options import PROGRAMS

SCRIPT = Path(__file__).with_name("lower_in_process.py")
DIGESTS = Path(__file__).parents[1] / "architectures" / "digests.py"
QUANTIZER = {"mode": "linear_symmetric", "weight_threshold": 64}


def lowered(network: str, options: dict[str, Any], seed: int) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), network, json.dumps(options)],
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("efficientnet_lite0", {}),
        pytest.param("resnet18", {"precision": "float32"}, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", {"target": "iOS18"}, marks=pytest.mark.slow),
        ("bert", {"target": "iOS18", "dynamic": True}),
        ("vit", {"target": "iOS16", "quantizer": QUANTIZER}),
        ("two_islands", {"methods": ["prefill", "decode"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "default",
)
def test_two_processes_give_the_same_bytes(network: str, options: dict[str, Any]) -> None:
    assert lowered(network, options, 1) == lowered(network, options, 2)


@pytest.mark.slow
def test_every_option_gives_the_same_bytes_in_two_processes() -> None:
    """Each process lowers all programs in one go, the second in another order."""
    first, *others, last = PROGRAMS
    script = SCRIPT.with_name("options.py")
    assert _digests([script], [first, *others, last], 1) == _digests(
        [script], [*reversed(others), first, last], 2
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["static", "dynamic"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_architecture_gives_the_same_bytes_in_two_processes(family: str, mode: str) -> None:
    builders = FAMILIES[family]
    names = [each for each in builders if mode == "static" or builders[each]().dynamic is not None]
    script = [DIGESTS, mode]
    assert _digests(script, names, 1) == _digests(script, names[::-1], 2)


def _digests(script: list[Path | str], names: list[str], seed: int) -> dict[str, str]:
    """Return what a script that is given names prints of each."""
    done = subprocess.run(
        [sys.executable, *map(str, script), *names],
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = (line.split(": ") for line in done.stdout.splitlines() if ": " in line)
    digests = {name: digest for name, digest in lines if name in names}
    assert set(digests) == set(names)
    return digests


def test_every_compile_spec_is_among_them() -> None:
    made = [make() for name, make in PROGRAMS.items() if name != "failing"]  # it changes a table
    specs = [each for _, chosen in made for each in chosen.delegation_spec.compile_specs]
    assert {each.key for each in specs} == {key.value for key in COMPILE_SPEC_KEYS}


def test_what_was_lowered_before_leaves_no_trace() -> None:
    first = lower(*ZOO["bert"]())
    lower(*ZOO["two_islands"](), precision="float16")
    assert lower(*ZOO["bert"]()) == first


def test_other_weights_give_other_bytes() -> None:
    module, inputs = ZOO["two_islands"]()
    first = lower(module, inputs)
    with torch.no_grad():
        module.first.weight[0, 0] += 1
    assert lower(module, inputs) != first
