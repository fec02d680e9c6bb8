"""Products of rows with the matrix of the expert that each was sent to."""

from __future__ import annotations

import torch
from torch import Tensor

from etcoreml.compiler.decompositions.registry import decomposes


@decomposes(
    "transformers.grouped_mm_fallback.default",
    why="Core ML has no product of groups whose sizes depend on the data",
)
def grouped_mm_fallback(input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """Multiply every row with every matrix, and keep the product with its own.

    Args:
        input: ``(s, k)``, sorted by group.
        weight: ``(g, k, n)``, a matrix for each group.
        offs: ``(g)`` integer, where each group ends.
    """
    row = torch.arange(input.shape[0], dtype=offs.dtype).unsqueeze(1)
    group = (offs <= row).to(torch.int32).sum(1, keepdim=True)
    member = group == torch.arange(weight.shape[0], dtype=torch.int32)
    products = torch.matmul(input, weight)
    return torch.where(member.transpose(0, 1).unsqueeze(-1), products, 0.0).sum(0)
