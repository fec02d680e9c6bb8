"""A program that is worth caching, as if it had been loaded from files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile
from etcoreml.mil.program import Array, MilProgram
from tests.cases import mil_builder, mil_function, mil_list, normal, to_program

X: Array = normal(2, 256, seed=7)


def network(x: Any) -> Any:
    mil = mil_builder()
    for seed in range(3):
        x = mil.relu(x=mil.linear(x=x, weight=normal(256, 256, seed=seed) / 16))
    return x


def classifier(x: Any) -> Any:
    mil = mil_builder()
    scores = mil.softmax(x=mil.slice_by_size(x=network(x), begin=[0, 0], size=[1, 3]), axis=-1)
    return mil.classify(probabilities=scores, classes=mil.const(val=mil_list(["a", "b", "c"])))


def program(build: Any = network, varies: bool = False, name: bytes = b"one") -> MilProgram:
    built = to_program(mil_function({"x": X}, build, "iOS17", varies), "iOS17")
    return replace(built, sources=MappingProxyType({"": memoryview(name)}))


@contextmanager
def everything_is_worth_caching() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile, "_CACHED_NODES", 1)
        yield


@contextmanager
def nothing_is_translated() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("translated again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile, "translate", refuse)
        yield


def same(left: Any, right: Any) -> bool:
    """Whether two results of ``Session.run`` are equal to the last bit."""
    return list(left) == list(right) and all(
        np.array_equal(left[name], right[name])
        if isinstance(left[name], np.ndarray)
        else left[name] == right[name]
        for name in left
    )
