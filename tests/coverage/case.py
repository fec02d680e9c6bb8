"""One case: a call that eager PyTorch can make and torch.export accepts, and what lowering owes it.

A case says what is computed, on which inputs, and what is expected of it; the oracle is eager
PyTorch. ``tests.coverage.harness`` lowers and runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.call import Call

TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18")


ISLAND_WHY = "a delegate that only moves values about is not worth a call"

NAN_WHY = "torch's sign of NaN is 0, MIL's is NaN here, and Core ML does not say what it does"
"""Why results are not compared in some cases where an input is NaN."""


@dataclass(frozen=True, eq=False)
class Case:
    """One call.

    Attributes:
        name: Unique; shown in docs/coverage.md.
        function: The module, or a function of tensors.
        inputs: Its example inputs, which are also the ones it is run with.
        expect: ``full``, ``partly`` or ``outside``: what goes to Core ML; or that by target, where
            a target that is not named has the value of the next older one that is.
        why: The reason, unless everything goes in.
        random: Whether only shapes and dtypes can be compared.
        tolerance: Relative, in fp32, where the op itself is not accurate to 1e-4.
        nan: Whether results are compared where an input is NaN, see ``NAN_WHY``.
        runs: Whether ExecuTorch's own kernels can run what stays outside.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    expect: str | Mapping[str, str] = "full"
    why: str = ""
    random: bool = False
    tolerance: float = 1e-4
    nan: bool = True
    runs: bool = True
    calls: int = field(default=1)

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> nn.Module:
        """The function as a module."""
        return self.function if isinstance(self.function, nn.Module) else Call(self.function)

    def expectation(self, target: str) -> str:
        """Return what is expected at a target."""
        if isinstance(self.expect, str):
            return self.expect
        older = [name for name in TARGETS[: TARGETS.index(target) + 1] if name in self.expect]
        return self.expect[older[-1]] if older else "full"


def case(name: str, function: Callable[..., Any], *inputs: Any, **options: Any) -> Case:
    """Return a case; the options are its other attributes."""
    return Case(name, function, inputs, **options)


def outside(
    name: str, function: Callable[..., Any], *inputs: Any, why: str, **options: Any
) -> Case:
    """Return a case that stays outside of Core ML."""
    return Case(name, function, inputs, expect="outside", why=why, **options)


def floats(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ints(*shape: int, low: int = -5, high: int = 6, seed: int = 0) -> Tensor:
    """Return int64 numbers in [low, high)."""
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def bools(*shape: int, seed: int = 0) -> Tensor:
    """Return truth values."""
    return ints(*shape, low=0, high=2, seed=seed).bool()


def edges() -> Tensor:
    """Return the values where an elementwise op may go wrong, (2, 12) fp32."""
    specials = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 1e-4, -1e-4, 30.0, -7.3)
    not_finite = (math.inf, -math.inf, math.nan, 1e-3, -3e-2, 0.99, -0.99, 1.5, -1.5, 3.0, 9.0, 7e2)
    return torch.tensor([specials, not_finite])


def finite() -> Tensor:
    """Return ``edges`` without infinities and NaN."""
    return torch.nan_to_num(edges(), nan=0.25, posinf=12.0, neginf=-12.0)
