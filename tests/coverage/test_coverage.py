"""Every case goes where it is expected to go, and computes what eager does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.coverage.case import TARGETS, Case
from tests.coverage.harness import run
from tests.coverage.matrix import CASES, FAMILIES

_ROOT = Path(__file__).resolve().parent.parent.parent

# One of each way to be rewritten, converted or left outside; the others run with the slow tests.
_REPRESENTATIVE = (
    *("expm1", "asinh", "erfc", "digamma", "reciprocal", "atan2", "exp_i64", "bitwise_left_shift"),
    *("remainder", "floor_divide", "rsub", "kthvalue", "cummax", "sort_stable", "prod_i64"),
    *("F_softplus", "gelu_tanh", "triu_1", "diagonal", "pad_neg", "rank6", "scatter_reduce_amax"),
    *("embedding_bag", "searchsorted", "int_overflow_const", "stft", "matvec", "svd", "nextafter"),
    *("maxpool2d_idx", "avgpool2d_ceil", "adaptive_avg3d", "up_antialias", "rmsnorm", "sdpa_gqa"),
    *("lstm", "gru", "cond", "bf16_in", "u8_in", "dropout_eval", "max_dim", "mut_buffer_add"),
)


def _check(case: Case, target: str, precision: str) -> None:
    outcome = run(case, target, precision)
    assert outcome.status == case.expectation(target), outcome.reasons
    if case.runs:
        assert not outcome.wrong
    else:
        assert not outcome.ran, "ExecuTorch runs it by now"


def test_the_list_is_complete() -> None:
    assert len(CASES) == sum(map(len, FAMILIES.values())) == 484


@pytest.mark.parametrize("case", [CASES[name] for name in _REPRESENTATIVE], ids=str)
def test_case(case: Case) -> None:
    _check(case, "iOS18", "float32")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_matrix(case: Case, target: str, precision: str) -> None:
    _check(case, target, precision)


def test_the_published_table_is_that_of_the_results() -> None:
    command = [sys.executable, str(_ROOT / "scripts" / "coverage_matrix"), "--check"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
