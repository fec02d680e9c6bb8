"""One architecture: a small network with random weights, and the calls that are made of it.

Weights are seeded and scaled so that every layer changes the result and no value explodes or
vanishes: what transformers initialises with, a standard deviation of 0.02, would leave the layers
of a network this narrow without an effect. What batch norms give has a mean of 1: rectified at a
mean of 0, random layers magnify every rounding error by 1.2 each (Yang et al., A mean field theory
of batch normalization, 2019), of which the 27 of MobileNetV1 leave 30 dB in fp16, in PyTorch, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from etcoreml.imports import quiet_imports

with quiet_imports():
    from torch.utils import _pytree as pytree
    from transformers.pytorch_utils import Conv1D

_BatchNorm = torch.nn.modules.batchnorm._BatchNorm

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Model:
    """A network and its inputs.

    Attributes:
        module: The network, in evaluation mode.
        inputs: The inputs of a size; of a number of the call where ``steps`` is set.
        sizes: The size it is exported with, then two others; what a size is, ``dynamic`` says.
        dynamic: For each input, the dimensions that vary with the size; None: none does.
        steps: Number of calls of the static program, each with ``inputs(step)``: more than one for
            a network that remembers.
    """

    module: nn.Module
    inputs: Callable[[int], Inputs]
    sizes: tuple[int, int, int] = (2, 1, 3)
    dynamic: tuple[Any, ...] | None = None
    steps: int = 0

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes it is lowered in."""
        return ("static",) if self.dynamic is None else ("static", "dynamic")

    def calls(self, mode: str) -> list[Inputs]:
        """Return the inputs of every call, the first of which it is exported with.

        Args:
            mode: ``static`` or ``dynamic``.
        """
        if mode == "dynamic":
            return [self.inputs(size) for size in self.sizes]
        return [self.inputs(each) for each in (range(self.steps) if self.steps else self.sizes[:1])]


class Outputs(nn.Module):
    """A network that takes some of its arguments in order and returns some of its results.

    Args:
        model: The network.
        takes: Names of the arguments; empty where it takes them in order anyway.
        gives: Names of the results; empty: every tensor it returns.
        fixed: Arguments that are not inputs.
    """

    def __init__(self, model: nn.Module, takes: str = "", gives: str = "", **fixed: Any) -> None:
        super().__init__()
        self.model, self.takes, self.gives = model, takes.split(), gives.split()
        self.fixed = fixed

    def forward(self, *inputs: Tensor) -> Any:
        if self.takes:
            found = self.model(**dict(zip(self.takes, inputs, strict=True)), **self.fixed)
        else:
            found = self.model(*inputs, **self.fixed)
        if not self.gives:
            return tuple(each for each in pytree.tree_leaves(found) if isinstance(each, Tensor))
        return tuple(found[name] for name in self.gives)


def randomize(module: nn.Module, seed: int = 1) -> None:
    """Give a network weights that keep the scale of what they multiply.

    Args:
        module: The network.
        seed: Of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(of: Tensor, std: float) -> Tensor:
        return torch.randn(of.shape, generator=generator) * std

    with torch.no_grad():
        for each in module.modules():
            if isinstance(each, _BatchNorm) and each.affine:
                nn.init.ones_(each.weight)  # EfficientNet's begin close to 0
                nn.init.ones_(each.bias)
            for name, weight in each.named_parameters(recurse=False):
                if weight.dim() < 2:
                    weight.add_(normal(weight, 0.1))
                elif isinstance(each, nn.Embedding):
                    weight.copy_(normal(weight, 1.0))
                elif isinstance(each, Conv1D):
                    weight.copy_(normal(weight, weight.shape[0] ** -0.5))
                elif isinstance(each, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                    weight.copy_(normal(weight, weight[0].numel() ** -0.5))
                elif isinstance(each, nn.ConvTranspose2d):
                    weight.copy_(normal(weight, weight.shape[0] ** -0.5))
                elif name.endswith("_proj"):  # all experts of a mixture, stacked
                    weight.copy_(normal(weight, weight.shape[-1] ** -0.5))
                elif not isinstance(each, (nn.LSTM, nn.GRU)):
                    weight.add_(normal(weight, 0.02))


def calibrate(module: nn.Module, inputs: Inputs) -> None:
    """Give the batch norms of a network statistics of what reaches them.

    Half of the mean is left in, and a channel that is hardly ever active is not made as loud as the
    others: in dozens of layers, both would magnify what is lost to rounding by orders of magnitude.

    Args:
        module: The network, in evaluation mode.
        inputs: A batch that is large enough for statistics.
    """

    def measure(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].transpose(0, 1).flatten(1)
        half = x.mean(1) / 2
        norm.running_mean.copy_(half)
        power = (x - half.unsqueeze(1)).square().mean(1)
        norm.running_var.copy_(power.clamp(min=float(power.median())))

    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    handles = [each.register_forward_pre_hook(measure) for each in norms]
    if norms:
        with torch.no_grad():
            module(*inputs)
    for each in handles:
        each.remove()


Builder = Callable[[], Model]
Family = Mapping[str, Builder]
"""Architectures by name."""


def build(builder: Builder) -> Model:
    """Return what a builder builds, with reproducible weights, ready for inference."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = builder()
    randomize(model.module)
    model.module.eval().requires_grad_(False)
    if any(isinstance(each, _BatchNorm) for each in model.module.modules()):
        calibrate(model.module, model.inputs(16))
    return model


def family(*builders: Builder) -> Family:
    """Return architectures by the names of their builders."""
    return {each.__name__: each for each in builders}


def floats(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tokens(batch: int, length: int, *, vocabulary: int = 96, seed: int = 0) -> Tensor:
    """Return token ids, ``(batch, length)`` int64, none of which is special."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(4, vocabulary, (batch, length), generator=generator)


def batch_of(count: int = 1) -> tuple[Any, ...]:
    """Return dynamic shapes of inputs whose first dimension is a batch of 1 to 8."""
    return ({0: torch.export.Dim("batch", min=1, max=8)},) * count


def length_of(count: int = 1, largest: int = 32) -> tuple[Any, ...]:
    """Return dynamic shapes of inputs whose second dimension is a length of 2 to ``largest``."""
    return ({1: torch.export.Dim("length", min=2, max=largest)},) * count
