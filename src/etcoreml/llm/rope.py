"""Rotary position embedding: the angle by which each pair of numbers turns at each position.

Angles are computed ahead of time, in float64, into tables of cosines and sines: a product of
position and frequency in fp16 would be wrong by whole turns.

Source: transformers ``modeling_rope_utils.py`` for the variants' formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from etcoreml.errors import CheckpointError

VARIANTS = ("default", "linear", "llama3")

_READ = {
    "rope_type",
    "type",
    "rope_theta",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
}
# Field -> what it may be without changing anything.
_NEUTRAL = {"partial_rotary_factor": 1}


@dataclass(frozen=True)
class Rope:
    """How positions turn.

    Attributes:
        theta: Base of the frequencies.
        variant: One of `VARIANTS`.
        factor: By how much the context was stretched.
        low_freq_factor, high_freq_factor, original_positions: Bounds of ``llama3`` between
            frequencies that are stretched and those that are not.
    """

    theta: float = 10000.0
    variant: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_positions: int = 8192

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], name: str) -> Rope:
        """Read a configuration, as transformers 4 (``rope_scaling``) or 5 writes it.

        Args:
            fields: The parsed ``config.json``.
            name: What to call it in an error.

        Raises:
            CheckpointError: The variant or one of its fields is not computed here, or a number
                of it is missing.
        """
        scaling = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
        _check_fields(scaling, name)
        theta = float(scaling.get("rope_theta") or fields.get("rope_theta") or cls.theta)
        variant = scaling.get("rope_type", scaling.get("type", "default"))
        if variant not in VARIANTS:
            raise CheckpointError(
                f"{name}: this scaling of rotary embeddings is not supported",
                found=repr(variant),
                expected=", ".join(VARIANTS),
            )
        if variant == "default":
            return cls(theta)
        try:
            if variant == "linear":
                return cls(theta, variant, float(scaling["factor"]))
            return cls(
                theta,
                variant,
                float(scaling["factor"]),
                float(scaling["low_freq_factor"]),
                float(scaling["high_freq_factor"]),
                int(scaling["original_max_position_embeddings"]),
            )
        except KeyError as error:
            raise CheckpointError(
                f"{name}: the scaling of rotary embeddings lacks {error}", found=dict(scaling)
            ) from None

    def frequencies(self, head_dim: int) -> Tensor:
        """Return the radians per position of each pair of a head, ``(head_dim / 2,)`` float64."""
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
        frequencies = self.theta**-exponents
        if self.variant == "llama3":
            return self._between(frequencies)
        return frequencies / self.factor

    def _between(self, frequencies: Tensor) -> Tensor:
        """Stretch long waves, leave short ones, and blend in between."""
        waves = self.original_positions * frequencies / (2 * math.pi)
        share = (waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        share = share.clamp(0, 1)
        return (1 - share) * frequencies / self.factor + share * frequencies

    def tables(self, head_dim: int, positions: int) -> tuple[Tensor, Tensor]:
        """Return what turns a head ``x``: ``x * cosines + swapped_halves(x) * sines``.

        Returns:
            Cosines and sines ``(positions, head_dim)`` float32; the first half of the sines is
            negative.
        """
        angles = torch.arange(positions, dtype=torch.float64)[:, None] * self.frequencies(head_dim)
        cosines, sines = angles.cos(), angles.sin()
        return torch.cat([cosines, cosines], -1).float(), torch.cat([-sines, sines], -1).float()


def _check_fields(scaling: Any, name: str) -> None:
    """Refuse what is not read, such as other angles for each type of layer."""
    if not isinstance(scaling, Mapping):
        raise CheckpointError(
            f"{name}: the scaling of rotary embeddings is no object", found=repr(scaling)
        )
    others = {
        field: value
        for field, value in scaling.items()
        if field not in _READ and value is not None and value != _NEUTRAL.get(field)
    }
    if others:
        raise CheckpointError(
            f"{name}: the scaling of rotary embeddings has fields that are not supported",
            found=", ".join(f"{field}: {value}" for field, value in others.items()),
            expected=", ".join(sorted(_READ)),
        )
