"""Random ops in terms of two: uniform and normal numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from etcoreml.compiler.decompositions.registry import decomposes

_MISSING = "coremltools 9.0 has no converter for it"


@decomposes("aten.rand_like.default", why=_MISSING)
def rand_like(self: Tensor, **options: Any) -> Tensor:
    """Draw from [0, 1)."""
    return torch.rand(self.shape, dtype=options.get("dtype") or self.dtype)


@decomposes("aten.randn_like.default", why=_MISSING)
def randn_like(self: Tensor, **options: Any) -> Tensor:
    """Draw from the standard normal distribution."""
    return torch.randn(self.shape, dtype=options.get("dtype") or self.dtype)


@decomposes("aten.randint.low", why=_MISSING)
def randint_low(low: int, high: int, size: list[int], **options: Any) -> Tensor:
    """Draw integers from [low, high)."""
    value = torch.floor(torch.rand(size) * (high - low)).clamp(max=high - low - 1) + low
    return value.to(options.get("dtype") or torch.int64)


@decomposes("aten.randint.default", why=_MISSING)
def randint(high: int, size: list[int], **options: Any) -> Tensor:
    """Draw integers from [0, high)."""
    return randint_low(0, high, size, **options)


@decomposes("aten.bernoulli.default", why=_MISSING)
def bernoulli(self: Tensor, generator: None = None) -> Tensor:
    """Draw 1 with the probabilities given."""
    return (torch.rand(self.shape) < self).to(self.dtype)


@decomposes("aten.normal.Tensor_float", why=_MISSING)
def normal_tensor_float(mean: Tensor, std: float = 1, generator: None = None) -> Tensor:
    """Draw with the means given."""
    return mean + torch.randn(mean.shape) * std


@decomposes("aten.normal.Tensor_Tensor", why=_MISSING)
def normal_tensor_tensor(mean: Tensor, std: Tensor, generator: None = None) -> Tensor:
    """Draw with the means and deviations given."""
    return mean + torch.randn(mean.shape) * std


@decomposes("aten.randperm.default", why=_MISSING)
def randperm(n: int, **options: Any) -> Tensor:
    """Sort random numbers."""
    return torch.argsort(torch.rand(n)).to(options.get("dtype") or torch.int64)


@decomposes("aten.multinomial.default", why=_MISSING)
def multinomial(
    self: Tensor, num_samples: int, replacement: bool = False, generator: None = None
) -> Tensor:
    """Draw without replacement: the largest log p plus Gumbel noise.

    Source: Vieira, Gumbel-max trick and weighted reservoir sampling (2014).
    """
    shape = (*self.shape[:-1], num_samples, self.shape[-1]) if replacement else self.shape
    noise = -torch.log(-torch.log(torch.rand(shape).clamp(1e-20, 1 - 1e-7)))
    if replacement:
        return (torch.log(self).unsqueeze(-2) + noise).argmax(-1)
    return torch.topk(torch.log(self) + noise, num_samples, dim=-1).indices
