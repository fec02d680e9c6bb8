"""MIL family ``random``: moments, ranges and repeatability; there is no oracle for the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from etcoreml.mil import MilProgram
from tests.cases import Case, mil_builder, mil_function, run, to_program

SHAPE = np.array([4, 5], np.int32)
# Philox numbers are multiples of 2**-23.
FIRST = np.array([1437950, 2648671, 2589877, 6756342], np.float32) / 2**23
BIG = np.array([40, 50, 20], np.int32)
LOGITS = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-9]], np.float32))


def _seeded(op: str, seed: int, **params: Any) -> Case:
    return Case(op, {"shape": BIG}, {"seed": np.int32(seed), **params}, why=f"seed {seed}")


CASES = (
    _seeded("random_uniform", 7, low=np.float32(-2), high=np.float32(3)),
    _seeded("random_normal", 7, mean=np.float32(1), stddev=np.float32(2)),
    _seeded("random_bernoulli", 7, prob=np.float32(0.3)),
    Case("random_categorical", {"x": LOGITS}, {"size": np.int32(20000), "seed": np.int32(7)}),
)
# No oracle knows the numbers.
NUMBERS: tuple[Case, ...] = ()
KINDS = {case.op: case for case in CASES}
SEEDED = [
    _seeded(op, seed, **{name: v for name, v in KINDS[op].params.items() if name != "seed"})
    for op in ("random_uniform", "random_normal", "random_bernoulli")
    for seed in (0, 7)
] + [KINDS["random_categorical"]]


def _numbers(case: Case, dtype: Any = np.float32) -> Any:
    (found,), _ = run(case, dtype)
    return found


@pytest.mark.parametrize("case", SEEDED, ids=str)
def test_a_seed_gives_the_same_numbers_in_every_session(case: Case) -> None:
    first = _numbers(case)
    np.testing.assert_array_equal(first, _numbers(case))
    assert len(np.unique(first)) > 1


def _one_of_each(shape: Any) -> list[Any]:
    mb, seed = mil_builder(), np.int32(7)
    logits = mb.random_uniform(shape=shape, seed=seed)
    return [
        logits,
        mb.random_uniform(shape=shape, seed=seed),
        mb.random_normal(shape=shape, seed=seed),
        mb.random_bernoulli(shape=shape, seed=seed),
        mb.random_categorical(x=logits, size=np.int32(9), seed=seed),
    ]


def _sequence(program: MilProgram, threads: int) -> list[bytes]:
    """The numbers of three calls, two by one request and one by another."""
    session = compile_function(program, compute_unit="cpu_only", threads=threads)
    first, other = session.create_request(), session.create_request()
    found = []
    for request in (first, first, other):
        request.set_input(0, SHAPE)
        request.infer()
        arrays = [request.output(i).copy() for i in range(len(session.outputs))]
        np.testing.assert_array_equal(arrays[0], arrays[1])
        found.append(b"".join(array.tobytes() for array in arrays))
    return found


def test_a_seed_gives_a_sequence_that_every_session_repeats() -> None:
    program = to_program(mil_function({"shape": SHAPE}, _one_of_each, "iOS15"), "iOS15")
    found = _sequence(program, 1)
    assert len(set(found)) == 3, "each call gives new numbers"
    assert _sequence(program, 2) == found
    # Of no oracle, but of another process: these were printed once.
    np.testing.assert_array_equal(np.frombuffer(found[0], np.float32)[:4], FIRST)


def test_other_seeds_give_other_numbers() -> None:
    found = [_numbers(_seeded("random_normal", seed)) for seed in (0, 1, -1, -1)]
    assert len({array.tobytes() for array in found}) == 4


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_uniform_fills_its_range(dtype: Any) -> None:
    # The dtype of a random op is that of its parameters, not of its only run-time input.
    low, high = dtype(-2), dtype(3)
    found = _numbers(_seeded("random_uniform", 7, low=low, high=high), dtype)
    assert found.dtype == dtype
    assert found.shape == tuple(BIG)
    assert found.min() >= low
    assert found.max() <= high
    wide = found.astype(np.float64)
    assert wide.mean() == pytest.approx(0.5, abs=0.03)
    # Five standard errors of the share of one tenth of the range.
    shares = np.histogram(wide, bins=10, range=(-2, 3))[0] / wide.size
    np.testing.assert_allclose(shares, 0.1, atol=5 * np.sqrt(0.09 / wide.size))


def test_an_empty_range_is_one_number() -> None:
    found = _numbers(_seeded("random_uniform", 7, low=np.float32(1.5), high=np.float32(1.5)))
    np.testing.assert_array_equal(found, np.full(BIG, 1.5, np.float32))


def test_normal_has_its_moments() -> None:
    found = _numbers(KINDS["random_normal"]).astype(np.float64)
    z = (found - 1) / 2
    error = 5 / np.sqrt(z.size)
    assert abs(z.mean()) < error
    assert abs((z**2).mean() - 1) < error * np.sqrt(2)
    assert abs((z**3).mean()) < error * np.sqrt(15)
    assert abs((z**4).mean() - 3) < error * np.sqrt(96)
    # Neighbours are independent.
    assert abs((z.ravel()[1:] * z.ravel()[:-1]).mean()) < error


def test_bernoulli_has_its_probability() -> None:
    found = _numbers(KINDS["random_bernoulli"])
    assert set(np.unique(found)) == {0.0, 1.0}
    assert found.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / found.size))


@pytest.mark.parametrize(("prob", "value"), [(0.0, 0.0), (1.0, 1.0)])
def test_bernoulli_knows_certainty(prob: float, value: float) -> None:
    found = _numbers(_seeded("random_bernoulli", 3, prob=np.float32(prob)))
    assert set(np.unique(found)) == {value}


@pytest.mark.parametrize("mode", ["logits", "probs"])
def test_categorical_draws_by_probability(mode: str) -> None:
    weights = np.exp(LOGITS)
    # Probabilities need not add up to one: MIL takes their logarithm for logits.
    x = LOGITS if mode == "logits" else 3 * weights
    params = {"mode": mode, "size": np.int32(20000), "seed": np.int32(1)}
    found = _numbers(Case("random_categorical", {"x": x}, params))
    assert found.shape == (2, 20000)
    for row, truth in zip(found, weights, strict=True):
        shares = np.bincount(row.astype(int), minlength=3) / row.size
        np.testing.assert_allclose(shares, truth, atol=5 * np.sqrt(0.25 / row.size))
    assert not (found[1] == 2).any()
