"""Random small programs composed of the cases: each op eats what the ones before it made.

A seed gives a program: inputs, some steps, and which values are returned. A step applies the
function of a case, or one of ``MUTATIONS``, to values that eager PyTorch lets it have. The oracle
is eager PyTorch; ``tests.coverage.test_compositions`` lowers and runs what comes out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.coverage.case import bools, floats, ints
from tests.coverage.matrix import CASES

_MAX_RANK, _MAX_ELEMENTS = 5, 2048
_ATTEMPTS = 60
_RETURNED = 3


def _add_in_place(x: Tensor, y: Tensor) -> Tensor:
    made = x.clone()
    made.add_(y)
    return made


def _set_item(x: Tensor) -> Tensor:
    made = x.clone()
    made[..., 0] = 1
    return made * 2


def _write_through_a_view(x: Tensor) -> tuple[Tensor, Tensor]:
    made = x.clone()
    row = made.view(-1)
    row[1:].mul_(2)
    return made, row + 1


def _overwrite_an_input(x: Tensor, y: Tensor) -> Tensor:
    x.copy_(y + x)
    return x * 1


MUTATIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "add_in_place": (_add_in_place, 2),
    "set_item": (_set_item, 1),
    "write_through_a_view": (_write_through_a_view, 1),
    "overwrite": (_overwrite_an_input, 2),
    "transpose_view": (lambda x: x.transpose(0, -1), 1),
    "slice_view": (lambda x: x[..., 1:], 1),
    "flat_view": (lambda x: x.reshape(-1), 1),
    "unsqueeze_view": (lambda x: x.unsqueeze(0), 1),
    "expand_view": (lambda x: x.unsqueeze(0).expand(2, *x.shape), 1),
}


@dataclass(frozen=True)
class Step:
    """One call: a name of ``CASES`` or ``MUTATIONS``, and which values it is given."""

    name: str
    arguments: tuple[int, ...]


@dataclass(eq=False)
class Composition(nn.Module):
    """A program.

    Attributes:
        steps: What is called, in order; results are numbered after the inputs.
        returned: Numbers of the values that are returned.
        inputs: Example inputs.
        varies: Whether the first dimension of every input of rank 2 or more may vary.
    """

    steps: tuple[Step, ...]
    returned: tuple[int, ...]
    inputs: tuple[Tensor, ...]
    varies: bool = False
    parts: nn.ModuleDict = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        named = {step.name for step in self.steps if step.name in CASES}
        modules = {name: CASES[name].function for name in sorted(named)}
        self.parts = nn.ModuleDict(
            {name: each for name, each in modules.items() if isinstance(each, nn.Module)}
        )

    def forward(self, *inputs: Tensor) -> tuple[Any, ...]:
        """Run the steps."""
        values: list[Any] = list(inputs)
        for step in self.steps:
            values.extend(_results(_function(step.name), [values[i] for i in step.arguments]))
        return tuple(values[i] for i in self.returned)

    def __str__(self) -> str:
        count = len(self.inputs)
        kinds = [f"{str(x.dtype)[6:]}{list(x.shape)}" for x in self.inputs]
        lines = [f"inputs {', '.join(kinds)}{', first size varies' if self.varies else ''}"]
        lines += [f"{step.name}{step.arguments}" for step in self.steps]
        return f"{'; '.join(lines)}; values from {count} on; returns {self.returned}"


def _function(name: str) -> Callable[..., Any]:
    return CASES[name].function if name in CASES else MUTATIONS[name][0]


def _results(function: Callable[..., Any], arguments: list[Any]) -> list[Any]:
    made = function(*arguments)
    return list(made) if isinstance(made, (tuple, list)) else [made]


def _eligible() -> dict[str, int]:
    """Return the names of what can be applied to any value, and how many arguments each takes."""
    found = {name: count for name, (_, count) in MUTATIONS.items()}
    for name, case in CASES.items():
        plain = all(isinstance(each, Tensor) for each in case.inputs)
        stateful = isinstance(case.function, nn.Module) and any(
            True for _ in case.function.buffers()
        )
        if plain and case.runs and not case.random and case.calls == 1 and not stateful:
            found[name] = len(case.inputs)
    return found


def compose(seed: int) -> Composition:
    """Return the program of a seed."""
    drawn = random.Random(seed)
    varies = drawn.random() < 0.25
    inputs = _inputs(drawn, seed)
    eligible = _eligible()
    values: list[Any] = [each.clone() for each in inputs]
    steps: list[Step] = []
    length = drawn.randint(3, 6)
    for _ in range(_ATTEMPTS):
        name = drawn.choice(list(eligible))
        recent = list(range(len(values))) + list(range(len(inputs), len(values))) * 3
        arguments = tuple(drawn.choice(recent) for _ in range(eligible[name]))
        if name == "overwrite" and arguments[0] >= len(inputs):
            continue
        made = _tried(name, [values[i] for i in arguments])
        if made is None:
            continue
        if name in CASES and not _is_typical(name, [values[i] for i in arguments]):
            continue
        values.extend(made)
        steps.append(Step(name, arguments))
        if len(steps) == length:
            break
    made = range(len(inputs), len(values))
    returned = tuple(drawn.choice(made) for _ in range(drawn.randint(1, _RETURNED)))
    last = (len(values) - 1,)
    alias = (drawn.randrange(len(inputs)),) if drawn.random() < 0.1 else ()
    return Composition(tuple(steps), returned + last + alias, inputs, varies)


def _inputs(drawn: random.Random, seed: int) -> tuple[Tensor, ...]:
    shape = drawn.choice([(2, 3), (2, 3, 4), (3, 4), (1, 3, 4, 5), (4, 4)])
    makers = (
        lambda: floats(*shape, seed=seed),
        lambda: floats(*shape, seed=seed + 1) * 10,
        lambda: ints(*shape, seed=seed),
        lambda: ints(*shape, low=0, high=2, seed=seed),
        lambda: bools(*shape, seed=seed),
        lambda: floats(shape[-1], seed=seed + 2),
        lambda: ints(*shape, seed=seed + 3).to(torch.int32),
    )
    others = [drawn.choice(makers)() for _ in range(drawn.randint(0, 2))]
    return (makers[0](), *others)


def _is_typical(name: str, arguments: list[Tensor]) -> bool:
    """Whether arguments are of the kinds that the case has: an op may mean others as well."""
    wanted = [each.is_floating_point() for each in CASES[name].inputs]
    return wanted == [each.is_floating_point() for each in arguments]


def _tried(name: str, arguments: list[Any]) -> list[Any] | None:
    """Return what a step makes, or None when it cannot be taken."""
    if not all(isinstance(each, Tensor) for each in arguments):
        return None
    try:
        made = _results(_function(name), arguments)
    except Exception:  # whatever eager PyTorch raises for values that do not fit
        return None
    for each in made:
        if not isinstance(each, Tensor) or each.is_complex() or each.numel() > _MAX_ELEMENTS:
            return None
        if each.dim() > _MAX_RANK or not each.numel() or bool(each.isnan().any()):
            return None  # where NaN goes in an order, say, is nobody's promise
        if each.dtype == torch.int64 and bool((each.abs() >= 2**31).any()):
            return None  # Core ML computes int32
    return made
