"""Sampling. Oracle: softmax of the logits, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from etcoreml.errors import ProgramError, UsageError
from etcoreml.llm.sampler import Sampler

LOGITS = np.array([0.0, 2.0, 1.0, -np.inf, 2.0], np.float32)


def test_greedy_takes_the_first_of_the_largest() -> None:
    assert Sampler()(LOGITS) == 1


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (1.0, 3), (2.0, 9)])
def test_frequencies(temperature: float, top_k: int | None) -> None:
    sampler = Sampler(temperature, top_k, seed=0)
    drawn = np.bincount([sampler(LOGITS) for _ in range(4000)], minlength=5) / 4000
    weights = np.exp(LOGITS / temperature)
    if top_k == 3:
        weights[0] = 0
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=0.03)
    assert drawn[3] == 0


def test_seeds() -> None:
    first, second, other = (Sampler(1.0, seed=seed) for seed in (1, 1, 2))
    draws = [[sampler(LOGITS) for _ in range(50)] for sampler in (first, second, other)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers(wrong: float, temperature: float) -> None:
    logits = LOGITS.copy()
    logits[4] = wrong
    with pytest.raises(ProgramError, match=f"found {wrong} as the largest.*\n.*float32"):
        Sampler(temperature, seed=0)(logits)


@pytest.mark.parametrize(
    "options", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}]
)
def test_numbers_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        Sampler(**options)  # type: ignore[arg-type]
