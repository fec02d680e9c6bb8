"""How far a tensor is from what it should be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_FP16_LEAST = 2.0**-24
"""The smallest positive fp16, a subnormal."""


@dataclass(frozen=True)
class Distance:
    """Between an actual and an expected tensor, in double precision, over the finite elements.

    Attributes:
        snr_db: Signal-to-noise ratio, ``10 log10(sum e^2 / sum (a - e)^2)``, in dB; infinite for
            equal tensors, and negative infinity where nothing of the signal is left.
        psnr_db: Peak signal-to-noise ratio, with the largest magnitude expected as the peak, in dB.
        cosine: Cosine of the angle between the two; 1 where both are zero.
        max_abs: The largest absolute difference.
        not_finite: Elements that are inf or nan although the expected ones are finite: overflow.
        vanished: Elements that are zero although the expected ones are not: underflow.
        size: Number of elements.
    """

    snr_db: float
    psnr_db: float
    cosine: float
    max_abs: float
    not_finite: int
    vanished: int
    size: int


def distance(actual: Array, expected: Array) -> Distance:
    """Measure.

    Args:
        actual: Any dtype that converts to float64, bool included.
        expected: Of the same shape.

    Raises:
        ValueError: The shapes differ.
    """
    if actual.shape != expected.shape:
        msg = f"shapes differ: {actual.shape} and {expected.shape}"
        raise ValueError(msg)
    a, e = (np.asarray(each, np.float64).ravel() for each in (actual, expected))
    lost = np.isfinite(e) & ~np.isfinite(a)
    vanished = int(((a == 0) & (np.abs(e) > 0) & (np.abs(e) < 2 * _FP16_LEAST)).sum())
    # Equal infinities, and nan where nan is expected, are no difference.
    both = np.isfinite(a) & np.isfinite(e)
    strange = ~both & ~((a == e) | (np.isnan(a) & np.isnan(e)))
    a, e = a[both], e[both]
    noise, signal = float(np.square(a - e).sum()), float(np.square(e).sum())
    if strange.any():
        noise = math.inf
    peak = float(np.abs(e).max(initial=0.0))
    norms = math.sqrt(float(np.square(a).sum())) * math.sqrt(signal)
    return Distance(
        snr_db=_db(signal, noise),
        psnr_db=_db(peak * peak * max(e.size, 1), noise),
        cosine=float(a @ e) / norms if norms else float(noise == 0),
        max_abs=math.inf if strange.any() else float(np.abs(a - e).max(initial=0.0)),
        not_finite=int(lost.sum()),
        vanished=vanished,
        size=int(actual.size),
    )


def _db(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    if signal == 0 or math.isinf(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)
