"""Fourier transforms and complex numbers through lowering; the oracle is eager PyTorch."""

from __future__ import annotations

import math

import pytest
import torch

from tests.compiler.decompositions.test_narrow import executed

NUMBERS = torch.tensor([[0.0, 1.0, -2.0, 3.5], [1e-20, 0.0, 0.0, 1e-19]])


@pytest.mark.parametrize("scale", [1.0, 1e20, 1e-18])
def test_magnitudes_whose_squares_overflow(scale: float) -> None:
    x = NUMBERS * scale
    (found,) = executed(lambda x: torch.fft.rfft(x).abs(), x)
    torch.testing.assert_close(found, torch.fft.rfft(x).abs(), rtol=1e-5, atol=0.0)


def test_magnitudes_of_nothing_and_of_infinities() -> None:
    x = torch.tensor([[0.0, 0.0], [math.inf, 1.0], [-math.inf, 2.0]])
    (found,) = executed(lambda x: torch.view_as_complex(x * 1.0).abs() + 0.0, x)
    assert torch.equal(found, torch.tensor([0.0, math.inf, math.inf]))
