"""Choosing the next token from logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etcoreml.errors import ProgramError, UsageError


class Sampler:
    """Draws tokens; the same seed draws the same tokens from the same logits.

    Args:
        temperature: Logits are divided by it; 0 takes the most likely token.
        top_k: Only this many of the most likely tokens are drawn from; None for all.
        seed: Of the random numbers.

    Raises:
        UsageError: A number is out of range.
    """

    def __init__(
        self, temperature: float = 0.0, top_k: int | None = None, seed: int | None = None
    ) -> None:
        if not temperature >= 0 or temperature == float("inf"):
            raise UsageError("temperature is out of range", found=temperature, expected=">= 0")
        if top_k is not None and top_k < 1:
            raise UsageError("top-k is out of range", found=top_k, expected=">= 1")
        self._temperature, self._top_k = temperature, top_k
        self._random = np.random.default_rng(seed)

    def __call__(self, logits: NDArray[np.float32]) -> int:
        """Return the index drawn from ``(vocabulary,)`` logits; the first among equals.

        Raises:
            ProgramError: The largest logit is not finite, or one is NaN.
        """
        largest = logits.max()
        if not np.isfinite(largest):
            raise ProgramError(
                "no token can be chosen from the model's logits",
                found=f"{largest} as the largest of them",
                expected="a finite number",
                hint="If fp16 overflows, export the model with --precision float32.",
            )
        if self._temperature == 0:
            return int(logits.argmax())
        candidates = np.arange(logits.size)
        if self._top_k is not None and self._top_k < logits.size:
            candidates = np.argpartition(logits, -self._top_k)[-self._top_k :]
        scores = logits[candidates].astype(np.float64)
        scores = np.exp((scores - scores.max()) / self._temperature)
        # The inverse of the distribution function, at one random number.
        reached = np.cumsum(scores)
        index = np.searchsorted(reached, self._random.random() * reached[-1], side="right")
        return int(candidates[min(int(index), candidates.size - 1)])
