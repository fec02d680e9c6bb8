"""Views and gathers in terms of slices and reshapes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import decomposes, is_static
from etcoreml.compiler.names import argument

_MISSING = "coremltools 9.0 has no converter for it"


def has_fixed_matrices(node: Node) -> bool:
    """Whether the matrices of a diagonal have fixed sizes."""
    shape = node.all_input_nodes[0].meta["val"].shape
    return all(isinstance(shape[argument(node, name)], int) for name in ("dim1", "dim2"))


@decomposes(
    "aten.diagonal.default",
    "aten.diagonal_copy.default",
    why="coremltools 9.0 gives it a wrong shape: https://github.com/apple/coremltools/issues/2565",
    applies=has_fixed_matrices,
)
def diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Take every (columns + 1)-th element of the flattened matrices."""
    x = self.movedim((dim1, dim2), (-2, -1))
    rows, columns = x.shape[-2:]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    start = offset if offset >= 0 else -offset * columns
    flat = x.reshape(*x.shape[:-2], rows * columns)
    stop = start + max(length - 1, 0) * (columns + 1) + (1 if length else 0)
    return flat[..., start : stop : columns + 1]


@decomposes(
    "aten.as_strided.default", "aten.as_strided_copy.default", why=_MISSING, applies=is_static
)
def as_strided(
    self: Tensor, size: list[int], stride: list[int], storage_offset: int | None = None
) -> Tensor:
    """Gather from the flattened tensor; edge programs hold contiguous tensors only."""
    at = torch.arange(1) + (storage_offset or 0)
    for length, step in zip(size, stride, strict=True):
        at = at.unsqueeze(-1) + torch.arange(length) * step
    return self.reshape(-1).index_select(0, at.reshape(-1)).reshape(size)


@decomposes("aten.unfold.default", "aten.unfold_copy.default", why=_MISSING, applies=is_static)
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Stack the n-th elements of all windows."""
    axis = dimension % self.dim()
    last = (self.shape[axis] - size) // step * step + 1
    parts = [
        torch.ops.aten.slice.Tensor(self, axis, start, start + last, step) for start in range(size)
    ]
    return torch.stack(parts, -1)


@decomposes("aten.masked_select.default", why="ExecuTorch's edge dialect has no masked_select")
def masked_select(self: Tensor, mask: Tensor) -> Tensor:
    """Index by the mask."""
    values, chosen = torch.broadcast_tensors(self, mask)
    return torch.ops.aten.index.Tensor(values, [chosen])


@decomposes("aten.masked_scatter.default", why=_MISSING)
def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Take the n-th value for the n-th place."""
    values, chosen = torch.broadcast_tensors(self, mask)
    flat = chosen.reshape(-1)
    at = torch.where(flat, flat.to(torch.int64).cumsum(0) - 1, 0)
    taken = source.reshape(-1).index_select(0, at).reshape(values.shape)
    return torch.where(chosen, taken, values)


def _sums(node: Node) -> bool:
    used = all(user.args[1] == 0 for user in node.users)
    return bool(used and argument(node, "mode") in (0, 1) and is_static(node))


@decomposes("aten._embedding_bag.default", why=_MISSING, applies=_sums)
def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Multiply the rows looked up with a matrix that says which bag each is in."""
    starts = offsets[:-1] if include_last_offset else offsets
    places = torch.arange(indices.shape[0])
    bag = (starts.unsqueeze(1) <= places).to(torch.int64).sum(0) - 1
    member = torch.arange(starts.shape[0]).unsqueeze(1) == bag
    share = (member & (indices != padding_idx)).to(weight.dtype)
    count = share.sum(1, keepdim=True).clamp(min=1.0)
    if per_sample_weights is not None:
        share = share * per_sample_weights
    total = torch.matmul(share, torch.index_select(weight, 0, indices))
    result = total / count if mode == 1 else total
    return result, bag, count.squeeze(1).to(torch.int64), bag


@decomposes(
    "aten.empty_like.default",
    why="ExecuTorch makes aten.empty_permuted of it, which its edge dialect refuses",
)
def empty_like(self: Tensor, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """Fill what may hold anything with zeros."""
    return torch.zeros_like(self, dtype=dtype)


@decomposes("aten.eye.default", "aten.eye.m", why="ExecuTorch has no kernel for it")
def eye(n: int, m: int | None = None, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """Compare rows with columns."""
    rows, columns = torch.arange(n), torch.arange(n if m is None else m)
    return (rows.unsqueeze(1) == columns).to(dtype or torch.get_default_dtype())


def has_varying_parts(node: Node) -> bool:
    """Whether a node gives a list of tensors whose first size varies."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or [str(each.type) for each in schema.returns] != ["List[Tensor]"]:
        return False
    parts = node.meta["val"]
    return any(part.dim() and not isinstance(part.shape[0], int) for part in parts)


_FIXED = "ExecuTorch 1.5 fixes the first size of a list's tensors when it checks their dtypes"


@decomposes(
    "aten.split_with_sizes.default",
    "aten.unsafe_split_with_sizes.default",
    why=_FIXED,
    applies=has_varying_parts,
)
def split_with_sizes(self: Tensor, split_sizes: list[int], dim: int = 0) -> list[Tensor]:
    """Slice each part."""
    ends = list(itertools.accumulate(split_sizes))
    starts = [0, *ends[:-1]]
    return [
        torch.ops.aten.slice.Tensor(self, dim, *each) for each in zip(starts, ends, strict=True)
    ]


@decomposes("aten.split.Tensor", "aten.unsafe_split.Tensor", why=_FIXED, applies=has_varying_parts)
def split(self: Tensor, split_size: int, dim: int = 0) -> list[Tensor]:
    """Slice each part, of which the last may be smaller."""
    # Counted by the op itself: to divide the sizes here would fix one that varies.
    count = len(torch.ops.aten.split.Tensor(self, split_size, dim))
    bounds = [*(index * split_size for index in range(count)), self.shape[dim]]
    return [
        torch.ops.aten.slice.Tensor(self, dim, start, stop)
        for start, stop in itertools.pairwise(bounds)
    ]


@decomposes("aten.unbind.int", why=_FIXED, applies=has_varying_parts)
def unbind(self: Tensor, dim: int = 0) -> list[Tensor]:
    """Select each part."""
    return [torch.ops.aten.select.int(self, dim, index) for index in range(self.shape[dim])]
