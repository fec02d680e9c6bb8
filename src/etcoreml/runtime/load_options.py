"""Options of `etcoreml.load` on their way to the delegate.

ExecuTorch's C++ and Swift APIs hand options to a backend when a method is loaded; its Python API
does not. The delegate is initialised on the thread that loads the method, so they wait there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import get_args

import etcoreml
from etcoreml.choices import Numerics
from etcoreml.errors import FeatureTypeError, OptionError
from etcoreml.runtime.compute_unit import engine_name

_NONE: Mapping[str, object] = MappingProxyType({})
_GIVEN: ContextVar[Mapping[str, object]] = ContextVar("_GIVEN", default=_NONE)


def checked_options(
    compute_unit: object, cache_dir: object, numerics: object = None
) -> Mapping[str, object]:
    """Return the options that were given, by the keys that ExecuTorch's backend options have.

    Args:
        compute_unit: As for ``engine_name``, or None.
        cache_dir: A path, ``""`` for no cache, or None.
        numerics: One of the engine's modes, or None.

    Raises:
        FeatureTypeError: A value is of another type.
        OptionError: There is no such compute unit or mode, or Apple's delegate serves, which
            Python's API cannot hand options.
    """
    options: dict[str, object] = {}
    if compute_unit is not None:
        options["compute_unit"] = engine_name(compute_unit)
    if cache_dir is not None:
        if not isinstance(cache_dir, (str, os.PathLike)):
            raise FeatureTypeError("cache_dir is no path", found=repr(cache_dir))
        options["cache_dir"] = os.fspath(cache_dir)
    if numerics is not None:
        if numerics not in get_args(Numerics):
            expected = ", ".join(get_args(Numerics))
            raise OptionError("unknown numerics", found=repr(numerics), expected=expected)
        options["numerics"] = numerics
    if options and not etcoreml.bridge.registered:
        raise OptionError(
            f"load() cannot pass on {' and '.join(options)}",
            found=etcoreml.bridge.reason,
            hint="Give them as backend options from Swift or C++, or lower with the compute unit.",
        )
    return options


@contextlib.contextmanager
def handed_over(options: Mapping[str, object]) -> Iterator[None]:
    """Hand options to the delegates that the block initialises."""
    token = _GIVEN.set(options)
    try:
        yield
    finally:
        _GIVEN.reset(token)


def given_options() -> Mapping[str, object]:
    """Return the options of the load under way."""
    return _GIVEN.get()
