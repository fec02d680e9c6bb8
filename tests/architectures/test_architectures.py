"""Every architecture lowers, runs through the stock runtime, and computes what eager does.

Oracle: eager PyTorch in fp32.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.architectures.catalogue import ARCHITECTURES, FAMILIES
from tests.architectures.harness import LEAST_DB, compared, run

_ROOT = Path(__file__).resolve().parent.parent.parent

# A convolutional, a transformer, a recurrent and a remembering network; sizes that vary.
_REPRESENTATIVE = (
    ("unet", "dynamic", "float32"),
    ("vit", "static", "float16"),
    ("bert", "dynamic", "float16"),
    ("lstm", "static", "float32"),
    ("kv_cache_attn", "static", "float16"),
    ("cnn_dynhw", "dynamic", "float16"),
)

# Eager in fp32, with nothing but the weights rounded to fp16, misses what is owed.
_LOST_WITH_THE_WEIGHTS = {("dpt", "dynamic", "float16")}


def _check(name: str, mode: str, precision: str) -> None:
    outcome = run(ARCHITECTURES[name], mode, precision)
    if outcome.stage == "export":
        return  # torch itself refuses it; docs/architectures.md says so
    assert outcome.stage == "run", outcome.error
    assert not outcome.wrong
    if (name, mode, precision) in _LOST_WITH_THE_WEIGHTS:
        assert outcome.rounded_db is not None
        assert outcome.rounded_db < LEAST_DB[precision]
        assert outcome.snr_db is not None
        assert outcome.snr_db >= outcome.rounded_db - 1
    elif outcome.snr_db is not None:
        assert outcome.snr_db >= LEAST_DB[precision], (outcome.rounded_db, outcome.half_db)


def test_names_are_unique() -> None:
    assert len(ARCHITECTURES) == sum(map(len, FAMILIES.values()))


@pytest.mark.parametrize(("name", "mode", "precision"), _REPRESENTATIVE)
def test_architecture(name: str, mode: str, precision: str) -> None:
    _check(name, mode, precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", LEAST_DB)
@pytest.mark.parametrize("mode", ["static", "dynamic"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all(name: str, mode: str, precision: str) -> None:
    if mode == "dynamic" and ARCHITECTURES[name]().dynamic is None:
        return
    _check(name, mode, precision)


def test_differences_are_told() -> None:
    x = torch.tensor([1.0, 2.0])
    assert compared([[x]], [[x]]) == (None, "")
    assert compared([[x * 1.001]], [[x]]) == (60.0, "")
    assert compared([[x, x]], [[x]])[1] == "call 0: 2 outputs for 1"
    assert "torch.float32[2] for torch.int64[2]" in compared([[x]], [[x.long()]])[1]
    assert "1 integers differ" in compared([[x.long()]], [[torch.tensor([1, 3])]])[1]
    assert "not finite" in compared([[x / 0]], [[x]])[1]


def test_the_published_page_is_that_of_the_results() -> None:
    command = [sys.executable, str(_ROOT / "scripts" / "architectures"), "--check"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
