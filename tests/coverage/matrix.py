"""All cases, by family."""

from __future__ import annotations

from collections.abc import Mapping

from tests.coverage.case import Case
from tests.coverage.cases import (
    activation,
    attention,
    binary,
    convolution,
    indexing,
    interface,
    linear_algebra,
    normalization,
    random,
    reduction,
    shape,
    unary,
)

FAMILIES: Mapping[str, tuple[Case, ...]] = {
    "Unary": unary.CASES,
    "Binary": binary.CASES,
    "Reductions": reduction.CASES,
    "Activations and losses": activation.CASES,
    "Shapes": shape.CASES,
    "Indexing": indexing.CASES,
    "Random": random.CASES,
    "Linear algebra": linear_algebra.CASES,
    "Convolutions and pools": convolution.CASES,
    "Normalisation and resampling": normalization.CASES,
    "Attention and recurrence": attention.CASES,
    "Interfaces, state, control flow": interface.CASES,
}

CASES: Mapping[str, Case] = {each.name: each for family in FAMILIES.values() for each in family}
