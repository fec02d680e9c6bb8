"""Which function builds which MIL op, and what its signature asks for.

A translator's parameters are the op's MIL input names; their annotations say what each needs:

* ``Output``: a run-time value (a constant is turned into one);
* ``tuple[Output, ...]``: every operand of a variadic input;
* ``Array``, ``int``, ``float``, ``bool``, ``str``, ``tuple[int, ...]``, ``tuple[bool, ...]``: known
  when the program is loaded, given as NumPy or Python;
* ``tuple[Array, ...]``: every operand of a variadic input, each known when loading;
* ``Output | Array``: either; what is known arrives as an array;
* ``X | None``: the input may be absent; the default value is MIL's default;
* ``Weight``, as one of several kinds: a compressed weight, as it is;
* ``State``: a state variable; ``TensorList``: a list, alone or as one of several kinds;
* ``Context``: the translation itself (not a MIL input).
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from openvino import Output

from etcoreml.engine.context import Context
from etcoreml.engine.scope import TensorList
from etcoreml.errors import DuplicateTranslatorError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Parameter:
    """One MIL input of a translator.

    Attributes:
        name: MIL input name.
        kinds: What it accepts, of ``Output``, ``np.ndarray`` and the Python scalars.
        many: None for one value, else the container: ``variadic`` operands or a ``vector``.
        required: Whether it has no default.
    """

    name: str
    kinds: tuple[type, ...]
    many: str | None
    required: bool


@dataclass(frozen=True, eq=False)
class Translator:
    """A function that builds one MIL op type.

    Attributes:
        function: Takes the op's inputs by name, returns one output or a sequence of them.
        spec: The coremltools class(es) that define the op, e.g. ``iOS15.clip, iOS17.clip``.
    """

    function: Callable[..., Any]
    spec: str

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The MIL inputs, from the signature."""
        hints = typing.get_type_hints(self.function)
        signature = inspect.signature(self.function)
        return tuple(
            _parameter(name, hints[name], parameter.default is inspect.Parameter.empty)
            for name, parameter in signature.parameters.items()
            if hints[name] is not Context
        )

    @cached_property
    def context_name(self) -> str | None:
        """Name of the parameter that takes the context, if there is one."""
        hints = typing.get_type_hints(self.function)
        return next((name for name, hint in hints.items() if hint is Context), None)


TRANSLATORS: dict[str, Translator] = {}
"""MIL op type to translator; filled by importing ``etcoreml.engine.ops``."""


def translates(*op_types: str, spec: str) -> Callable[[F], F]:
    """Bind one function to the MIL op types it builds.

    Args:
        op_types: MIL op types.
        spec: The coremltools class(es) that define them, for docs/ops.md.

    Raises:
        DuplicateTranslatorError: Another function is already bound to one of the types.
    """

    def bind(function: F) -> F:
        for op_type in op_types:
            held = TRANSLATORS.setdefault(op_type, Translator(function, spec))
            if held.function is not function:
                what = f"engine: two translators claim MIL op {op_type!r}"
                raise DuplicateTranslatorError(
                    what, found=f"{held.function.__qualname__} and {function.__qualname__}"
                )
        return function

    return bind


def _parameter(name: str, hint: Any, required: bool) -> Parameter:
    kinds: list[type] = []
    many: str | None = None
    for option in _options(hint):
        origin = typing.get_origin(option)
        if origin is tuple:
            (element, _) = typing.get_args(option)
            kind = _kind(element)
            many = "variadic" if kind in (Output, np.ndarray, TensorList) else "vector"
            kinds.append(kind)
        else:
            kinds.append(_kind(option))
    return Parameter(name, tuple(kinds), many, required)


def _options(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for option in typing.get_args(hint) if option is not type(None)]
    return [hint]


def _kind(option: Any) -> type:
    kind: type = typing.get_origin(option) or option
    return kind
