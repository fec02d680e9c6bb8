"""Models that the tests of ``etcoreml export`` name as ``tests.cli.models:...``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Built = tuple[nn.Module, tuple[Tensor, ...]]


def net() -> Built:
    """A picture of 8 x 8 to three numbers: a convolution, an activation, a linear layer."""
    torch.manual_seed(7)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return layers.eval(), (torch.randn(1, 3, 8, 8),)


class _Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.offset = nn.Parameter(torch.tensor([0.5, 0.25, 0.125]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset


def any_size() -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """A convolution over pictures of 8 x 8 and of any other size."""
    torch.manual_seed(7)
    sides = {2: torch.export.Dim("height", min=4, max=64), 3: torch.export.Dim("width", max=64)}
    return nn.Conv2d(3, 4, 3, padding=1).eval(), (torch.randn(1, 3, 8, 8),), (sides,)


def scale() -> Built:
    """Two parameters that Core ML takes as constants or as inputs."""
    return _Scale(), (torch.randn(2, 3),)


class _Blocks(nn.Module):
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
            for _ in range(3)
        )
        self.head = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor([0.5, 1.0, 1.5]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        # acosh has no converter, and so stays outside.
        pooled = torch.acosh(x.mean((2, 3)).abs() + 1.5)
        return self.head(pooled) * self.scale


def blocks() -> Built:
    """Residual blocks, an op that Core ML cannot take, and a buffer that is not persistent."""
    return _Blocks().eval(), (torch.randn(1, 3, 8, 8),)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = (self.query(x) * 1000) @ (self.key(x) * 1000).transpose(-1, -2)
        return torch.softmax(scores / 1e6, -1) @ self.value(x)


def overflow() -> Built:
    """Attention whose scores fp16 cannot hold."""
    torch.manual_seed(1)
    return _Attention().eval(), (torch.randn(1, 8, 16),)


class _Heads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 8)).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        return attended.transpose(1, 2).flatten(2)


def attention() -> Built:
    """Attention of two heads, which OpenVINO computes in one kernel."""
    torch.manual_seed(2)
    return _Heads(), (torch.randn(1, 16, 16),)


class _Acosh(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.acosh(x.abs() + 1.5) * 2, (x * 2).to(torch.int32)


def acosh() -> Built:
    """An op that Core ML cannot take between two that it can; fp32 and int32 outputs."""
    return _Acosh(), (torch.randn(2, 3),)


class _Call(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def _calling(function: Callable[..., Any], *inputs: Tensor) -> Callable[[], Built]:
    return lambda: (_Call(function), inputs)


_MATRIX = torch.eye(3) * 3 + 0.1
_COUNTS = torch.tensor([1, 2, 2])

# Ops that neither Core ML nor ExecuTorch's kernels have.
inverse = _calling(torch.linalg.inv, _MATRIX)
cholesky = _calling(torch.linalg.cholesky, _MATRIX)
qr = _calling(lambda x: tuple(torch.linalg.qr(x)), _MATRIX)
det = _calling(torch.linalg.det, _MATRIX)
svd = _calling(lambda x: tuple(torch.linalg.svd(x)), _MATRIX)
solve = _calling(torch.linalg.solve, _MATRIX, torch.ones(3))
matrix_exp = _calling(torch.linalg.matrix_exp, _MATRIX)
nextafter = _calling(torch.nextafter, torch.ones(3), torch.zeros(3))
unique = _calling(lambda x: torch.unique(x), _COUNTS)
bincount = _calling(lambda x: torch.bincount(x), _COUNTS)


class _Counter(nn.Module):
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(x)
        return self.count * 2


def counter() -> Built:
    """A buffer that every call changes."""
    return _Counter(), (torch.ones(3),)


def dynamic() -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """A batch of one to eight."""
    sizes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    return nn.ReLU(), (torch.zeros(2, 3),), sizes


def talkative() -> Built:
    """``net``, built by code that prints to both streams."""
    print("loading weights")
    print("a remark", file=sys.stderr)
    return net()


def failing() -> Built:
    """A constructor with a defect."""
    message = "no such weights"
    raise ValueError(message)


class _Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def branching() -> Built:
    """Control flow on data, which torch.export refuses at length."""
    return _Branching(), (torch.zeros(2),)


def nothing() -> int:
    """Not a model."""
    return 3


def half() -> tuple[nn.Module, Tensor]:
    """Example inputs that are no tuple."""
    return nn.ReLU(), torch.zeros(2)


not_callable = 3


def large_squares() -> Built:
    """Return a network whose squares are beyond fp16 before they are scaled back."""

    class LargeSquares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(16, 16, bias=False), nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            large = (self.first(x) * 3000).square()
            return self.last(large / 3000.0**2 + x)

    torch.manual_seed(0)
    return LargeSquares().eval(), (torch.randn(4, 16),)
