"""Distances between tensors. Oracle: NumPy, and the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from etcoreml.trace.metrics import distance


def test_signal_and_noise() -> None:
    expected = np.array([1.0, -2.0, 3.0, 4.0])
    actual = expected + np.array([0.1, 0.0, -0.1, 0.0])
    found = distance(actual, expected)
    assert found.snr_db == pytest.approx(10 * math.log10(30 / 0.02))
    assert found.psnr_db == pytest.approx(10 * math.log10(16 / (0.02 / 4)))
    assert found.max_abs == pytest.approx(0.1)
    cosine = actual @ expected / np.linalg.norm(actual) / np.linalg.norm(expected)
    assert found.cosine == pytest.approx(cosine)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, np.bool_])
def test_equal_is_infinitely_good(dtype: type) -> None:
    x = np.array([0, 1, 1], dtype)
    found = distance(x, x)
    assert (found.snr_db, found.max_abs, found.cosine) == (math.inf, 0.0, pytest.approx(1))


def test_empty_and_zero() -> None:
    assert distance(np.zeros((0, 3)), np.zeros((0, 3))).snr_db == math.inf
    assert distance(np.zeros(3), np.zeros(3)).cosine == 1
    assert distance(np.ones(3), np.zeros(3)).snr_db == -math.inf


def test_overflow() -> None:
    found = distance(np.array([np.inf, 1.0]), np.array([70000.0, 1.0]))
    assert found.not_finite == 1
    assert found.snr_db == -math.inf
    assert found.max_abs == math.inf


def test_equal_infinities_and_nans_are_no_difference() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 2.0])
    found = distance(x, x)
    assert (found.not_finite, found.snr_db) == (0, math.inf)
    assert distance(-x, x).snr_db == -math.inf


def test_underflow() -> None:
    expected = np.array([1e-9, 0.0, 1.0])
    assert distance(expected.astype(np.float16), expected).vanished == 1


def test_shapes_differ() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        distance(np.zeros(3), np.zeros((3, 1)))
