"""The plugin, on one of coremltools' own tests and by its rules. Oracle: by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.peers import plugin, record
from tests.peers.__main__ import pytest_command, pytest_environment
from tests.peers.suites import MIL, Suite


@pytest.mark.slow
def test_one_of_their_tests_predicts_and_a_run_continues(tmp_path: Path) -> None:
    suite = Suite("one", (f"{MIL}/iOS14/test_activation.py::TestELU",))
    command = pytest_command(suite, tmp_path, 1.0)
    outcomes = []
    for limit in (1, 1000):
        found = subprocess.run(
            [*command, "-k", "smoke", f"--peers-limit={limit}"],
            env=pytest_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode in (plugin.MORE_LEFT, 0), found.stdout + found.stderr
        rows = record.read(tmp_path)
        outcomes.append((found.returncode, len(rows)))
    assert outcomes == [(plugin.MORE_LEFT, 1), (0, 2)]  # fp16 and fp32
    assert {(row.outcome, row.predictions) for row in rows.values()} == {(record.PASSED, 1)}
    assert record.read_collected(tmp_path) == (3, 2)  # with NeuralNetwork


def _item(**params: Any) -> Any:
    return SimpleNamespace(callspec=SimpleNamespace(params=params))


CONFIG = SimpleNamespace(backend="mlprogram", precision="fp32")


@pytest.mark.parametrize(
    ("params", "is_neural_network", "is_too_exact"),
    [
        ({"backend": ("neuralnetwork", "fp32")}, True, False),
        ({"backend": ("mlprogram", "fp32"), "dtype": np.float32}, False, False),
        ({"backend": ("mlprogram", "fp16"), "dtype": np.float16}, False, False),
        ({"backend": ("mlprogram", "fp32"), "dtype": np.float16}, False, True),
        ({"backend": CONFIG, "dtypes": (np.float32, np.float16)}, False, True),
        ({"backend": CONFIG, "lut_dtype": "fp16"}, False, True),
        ({"backend": CONFIG, "lut_dtype": "int8"}, False, False),
    ],
)
def test_what_is_left_out(
    params: dict[str, Any], is_neural_network: bool, is_too_exact: bool
) -> None:
    item = _item(**params)
    assert plugin.is_neural_network(item) == is_neural_network
    assert plugin.is_too_exact(item) == is_too_exact


def test_ids_do_not_hold_addresses() -> None:
    name = plugin.pytest_make_parametrize_id(object(), "act")
    assert name == "act=<object object>"
