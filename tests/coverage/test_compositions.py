"""What ops compute together: random compositions of the cases compute what eager does."""

from __future__ import annotations

import math

import pytest
import torch

from tests.coverage.composition import Composition, Step, compose
from tests.coverage.composition_check import TARGETS, check, difference

_SEEDS = range(30)
"""A fixed budget; ``python -m tests.coverage.composition_check FIRST LAST`` looks further."""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", _SEEDS)
def test_composition(seed: int, target: str) -> None:
    program = compose(seed)
    assert not check(program, target), str(program)


def test_a_seed_gives_one_program_that_eager_runs() -> None:
    for seed in _SEEDS:
        program = compose(seed)
        assert str(program) == str(compose(seed))
        results = program(*(each.clone() for each in program.inputs))
        assert len(results) == len(program.returned)


def test_mutations_and_several_results() -> None:
    """In place, through a view and into an input, with a value returned twice."""
    x = torch.tensor([[1.5, -2.0, 3.0], [0.25, 4.0, -5.0]])
    steps = (
        Step("set_item", (0,)),
        Step("write_through_a_view", (1,)),
        Step("overwrite", (0, 2)),
        Step("transpose_view", (4,)),
        Step("exp", (5,)),
    )
    program = Composition(steps, (6, 2, 3, 6, 0), (x,))
    for target in TARGETS:
        assert not check(program, target)


def test_what_differs_is_told() -> None:
    truth = torch.tensor([1.0, math.inf, 3.0])
    wrong = torch.tensor([1.0, math.inf, 3.1])
    assert difference(wrong, truth, [truth, truth])
    assert difference(truth.int(), truth, [])
    assert not difference(truth, truth, [truth])
    # what moves by itself is not compared
    assert not difference(wrong, truth, [torch.tensor([1.0, math.inf, 3.2])])
