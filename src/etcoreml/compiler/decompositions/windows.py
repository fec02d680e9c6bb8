"""Pools in terms of slices: what Core ML's own pools do not have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional

from etcoreml.compiler.decompositions.registry import LARGEST_WINDOW, decomposes, is_static
from etcoreml.compiler.names import argument, op_name


def _needs_slices(node: Node) -> bool:
    """Whether a max pool has dilation, or its indices are used."""
    x = node.all_input_nodes[0].meta["val"]
    dilated = any(step != 1 for step in argument(node, "dilation"))
    indexed = any(op_name(user) == "getitem" and user.args[1] == 1 for user in node.users)
    static = all(isinstance(size, int) for size in x.shape)
    window = math.prod(_each(argument(node, "kernel_size"), 2))
    return (dilated or indexed) and static and window <= LARGEST_WINDOW


def _each(value: int | Sequence[int], count: int) -> list[int]:
    given = [value] if isinstance(value, int) else list(value)
    return given * count if len(given) == 1 else given


@decomposes(
    "aten.max_pool2d_with_indices.default",
    why="MIL's max_pool has neither dilation nor indices",
    applies=_needs_slices,
)
def max_pool2d_with_indices(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] | None = None,
    padding: list[int] | int = 0,
    dilation: list[int] | int = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """Stack a slice for each element of the window, and take the largest and where it is."""
    kernel = _each(kernel_size, 2)
    steps = _each(stride or kernel, 2)
    pads, gaps = _each(padding, 2), _each(dilation, 2)
    sizes = list(self.shape[-2:])
    counts = [
        _window_count(*each, ceil_mode)
        for each in zip(sizes, kernel, steps, pads, gaps, strict=True)
    ]
    after = [
        max(0, (counts[i] - 1) * steps[i] + (kernel[i] - 1) * gaps[i] + 1 - sizes[i] - pads[i])
        for i in range(2)
    ]
    padded = functional.pad(self, (pads[1], after[1], pads[0], after[0]), value=-math.inf)
    slices, places = [], []
    rows = torch.arange(counts[0]) * steps[0] - pads[0]
    columns = torch.arange(counts[1]) * steps[1] - pads[1]
    for y, x in itertools.product(range(kernel[0]), range(kernel[1])):
        part = padded
        for axis, start in ((0, y * gaps[0]), (1, x * gaps[1])):
            stop = start + (counts[axis] - 1) * steps[axis] + 1
            part = torch.ops.aten.slice.Tensor(part, axis - 2, start, stop, steps[axis])
        slices.append(part)
        row, column = rows + y * gaps[0], columns + x * gaps[1]
        places.append(row.unsqueeze(1) * sizes[1] + column)
    stacked = torch.stack(slices, -1)
    values = stacked.amax(-1)
    chosen = stacked == values.unsqueeze(-1)
    # the first of equals, as PyTorch scans
    order = torch.arange(len(slices), 0, -1, dtype=torch.int32)
    best = torch.where(chosen, order, 0).amax(-1, keepdim=True)
    at = torch.where(order == best, torch.stack(places, -1), 0).sum(-1)
    return values, at


def _window_count(size: int, kernel: int, stride: int, pad: int, gap: int, ceil_mode: bool) -> int:
    span = size + 2 * pad - gap * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + pad:
        count -= 1
    return count


@decomposes(
    "aten.max_pool2d.default",
    why="MIL's max_pool has no dilation",
    applies=_needs_slices,
)
def max_pool2d(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] | None = None,
    padding: list[int] | int = 0,
    dilation: list[int] | int = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the largest of each window."""
    return max_pool2d_with_indices(self, kernel_size, stride, padding, dilation, ceil_mode)[0]


def _varies_in_batch(node: Node) -> bool:
    shape = node.all_input_nodes[0].meta["val"].shape
    static = all(isinstance(size, int) for size in shape[-2:])
    window = math.prod(argument(node, "kernel_size"))
    return static and not is_static(node) and window <= LARGEST_WINDOW


@decomposes(
    "aten.im2col.default",
    why="coremltools 9.0 takes the batch for a constant",
    applies=_varies_in_batch,
)
def im2col(
    self: Tensor, kernel_size: list[int], dilation: list[int], padding: list[int], stride: list[int]
) -> Tensor:
    """Stack a slice for each element of the window."""
    padded = functional.pad(self, (padding[1], padding[1], padding[0], padding[0]))
    lengths = [
        (_window_count(size, kernel, step, pad, gap, False) - 1) * step + 1
        for size, kernel, gap, pad, step in zip(
            self.shape[-2:], kernel_size, dilation, padding, stride, strict=True
        )
    ]
    parts = []
    for at in itertools.product(*map(range, kernel_size)):
        part = padded
        for axis in range(2):
            start = at[axis] * dilation[axis]
            stop = start + lengths[axis]
            part = torch.ops.aten.slice.Tensor(part, axis - 2, start, stop, stride[axis])
        parts.append(part)
    return torch.stack(parts, -3).flatten(-2).flatten(-3, -2)


def _divides_otherwise(node: Node) -> bool:
    """Whether windows are divided by something else than MIL divides by."""
    shape = node.all_input_nodes[0].meta["val"].shape
    static = all(isinstance(size, int) for size in shape[len(shape) - _rank(node) :])
    return static and (bool(argument(node, "ceil_mode")) or _overrides_divisor(node))


def _rank(node: Node) -> int:
    """Return over how many dimensions a node pools."""
    return 3 if "3d" in op_name(node) else 2


def _overrides_divisor(node: Node) -> bool:
    return argument(node, "divisor_override") is not None


@decomposes(
    "aten.avg_pool2d.default",
    "aten.avg_pool3d.default",
    why="MIL's avg_pool has no divisor, and with ceil_mode counts what lies beyond the pads",
    applies=_divides_otherwise,
)
def avg_pool(
    self: Tensor,
    kernel_size: list[int],
    stride: list[int] | None = None,
    padding: list[int] | int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average zero-padded windows, then divide by the number of elements that count."""
    rank = len(kernel_size) if len(kernel_size) > 1 else self.dim() - 2
    kernel = _each(kernel_size, rank)
    steps, pads = _each(stride or kernel, rank), _each(padding, rank)
    widths: list[int] = []
    spans: list[int] = []  # a single window may be larger than what there is
    divisor = torch.ones((1,), dtype=self.dtype)
    for i in range(rank):
        size = self.shape[self.dim() - rank + i]
        count = _window_count(size, kernel[i], steps[i], pads[i], 1, ceil_mode)
        spans.append(min(kernel[i], pads[i] + size) if count == 1 else kernel[i])
        after = max(0, (count - 1) * steps[i] + spans[i] - size - pads[i])
        widths = [pads[i], after, *widths]
        start = torch.arange(count) * steps[i] - pads[i]
        low, high = (-pads[i], size + pads[i]) if count_include_pad else (0, size)
        length = (start + kernel[i]).clamp(max=high) - start.clamp(min=low)
        divisor = divisor.unsqueeze(-1) * length.to(self.dtype)
    divisor = divisor.squeeze(0)
    padded = functional.pad(self, widths) if any(widths) else self
    pool = functional.avg_pool2d if rank == 2 else functional.avg_pool3d
    pooled: Tensor = pool(padded, spans, steps) * math.prod(spans)
    return pooled / (divisor_override if divisor_override is not None else divisor)


def _is_static_plane(node: Node) -> bool:
    return all(isinstance(size, int) for size in node.all_input_nodes[0].meta["val"].shape[-2:])


def _antialiased(weigh: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return how to multiply with a matrix of weights for the rows, and one for the columns."""

    def resized(
        self: Tensor,
        output_size: list[int] | None,
        align_corners: bool,
        scales_h: list[float] | float | None = None,
        scales_w: float | None = None,
    ) -> Tensor:
        scales = list(scales_h) if isinstance(scales_h, (list, tuple)) else [scales_h, scales_w]
        sizes = self.shape[-2:]
        if output_size is None:
            output_size = [int(size * scale) for size, scale in zip(sizes, scales, strict=True)]
        rows, columns = (
            _shares(size, out, scale, align_corners, self.dtype, weigh)
            for size, out, scale in zip(sizes, output_size, scales, strict=True)
        )
        return torch.matmul(torch.matmul(rows, self), columns.transpose(0, 1))

    return resized


def _triangle(gap: Tensor) -> Tensor:
    return (1 - gap).clamp(min=0.0)


def _cubic(gap: Tensor) -> Tensor:
    """Weigh by Keys' cubic of -1/2, as PyTorch does with antialias."""
    near = (1.5 * gap - 2.5) * gap * gap + 1
    far = ((-0.5 * gap + 2.5) * gap - 4) * gap + 2
    return torch.where(gap < 1, near, torch.where(gap < 2, far, 0.0))


for _name, _weigh, _why in (
    ("bilinear", _triangle, "coremltools 9.0 ignores antialias"),
    ("bicubic", _cubic, "ExecuTorch's edge dialect has no _upsample_bicubic2d_aa"),
):
    _names = tuple(f"aten._upsample_{_name}2d_aa.{each}" for each in ("vec", "default"))
    decomposes(*_names, why=_why, applies=_is_static_plane)(_antialiased(_weigh))


def _shares(
    size: int,
    out: int,
    scale: float | None,
    align_corners: bool,
    dtype: torch.dtype,
    weigh: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the weight of each input for each output, (out, size)."""
    if align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        step = 1 / scale if scale else size / out
    width = max(step, 1.0)
    places = torch.arange(out).to(dtype).unsqueeze(1)
    centre = (places + 0.5) * step  # with aligned corners, too: PyTorch changes the step only
    gap = (torch.arange(size).to(dtype) + 0.5 - centre).abs() / width
    weight = weigh(gap)
    return weight / weight.sum(1, keepdim=True)


def _adds_up(node: Node) -> bool:
    """Whether windows lie otherwise than side by side, or their batch varies."""
    kernel, gaps = argument(node, "kernel_size"), argument(node, "dilation")
    aside = list(argument(node, "stride")) == list(kernel) and set(gaps) == {1}
    sizes = (*node.all_input_nodes[0].meta["val"].shape[-2:], *argument(node, "output_size"))
    fixed = all(isinstance(size, int) for size in sizes)
    converts = aside and is_static(node)
    return fixed and not converts and math.prod(kernel) <= LARGEST_WINDOW


@decomposes(
    "aten.col2im.default",
    why="coremltools 9.0 folds windows side by side only, and takes the batch for a constant",
    applies=_adds_up,
)
def col2im(
    self: Tensor,
    output_size: list[int],
    kernel_size: list[int],
    dilation: list[int],
    padding: list[int],
    stride: list[int],
) -> Tensor:
    """Put each element of the windows where it belongs in a plane of zeros, and add the planes."""
    x = self if self.dim() == _BATCHED_WINDOWS else self.unsqueeze(0)
    sizes = [size + 2 * pad for size, pad in zip(output_size, padding, strict=True)]
    counts = [
        (sizes[i] - (kernel_size[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i in range(2)
    ]
    window = math.prod(kernel_size)
    channels = x.shape[1] // window
    x = x.reshape(x.shape[0], channels * window, counts[0], counts[1])
    x = _spread(_spread(x, stride[1]).transpose(-1, -2), stride[0]).transpose(-1, -2)
    parts = x.reshape(x.shape[0], channels, window, *x.shape[-2:])
    planes = []
    for index, (row, column) in enumerate(itertools.product(*map(range, kernel_size))):
        top, left = row * dilation[0], column * dilation[1]
        bottom, right = sizes[0] - top - x.shape[-2], sizes[1] - left - x.shape[-1]
        planes.append(functional.pad(parts[:, :, index], (left, right, top, bottom)))
    total = sum(planes[1:], planes[0])
    down, across = padding
    if down or across:
        total = total[..., down : sizes[0] - down, across : sizes[1] - across]
    return total if self.dim() == _BATCHED_WINDOWS else total.squeeze(0)


_BATCHED_WINDOWS = 3


def _spread(x: Tensor, step: int) -> Tensor:
    """Put zeros between the elements of the last axis."""
    if step == 1:
        return x
    spread = functional.pad(x.unsqueeze(-1), (0, step - 1)).flatten(-2)
    return spread[..., : (x.shape[-1] - 1) * step + 1]
