"""Silence: what is closed, and that each channel is opened again."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from etcoreml.compiler.quiet import quiet
from etcoreml.imports import VERBOSE_VARIABLE, verbose
from etcoreml.mil.ct import coremltools

ct = coremltools()
PASSES = sys.modules["coremltools.converters.mil.mil.passes.pass_pipeline"]


def test_every_channel_is_closed_and_restored() -> None:
    logger = logging.getLogger("coremltools")
    before = (logger.level, PASSES.tqdm, list(warnings.filters))
    with quiet():
        assert not logger.isEnabledFor(logging.CRITICAL)
        assert PASSES.tqdm([1, 2]).disable
        assert list(PASSES.tqdm([1, 2])) == [1, 2]
        warnings.warn("not seen", UserWarning, stacklevel=1)
    assert (logger.level, PASSES.tqdm, list(warnings.filters)) == before


def test_restored_after_an_exception() -> None:
    before = PASSES.tqdm
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert PASSES.tqdm is before


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("0", False), ("", False)])
def test_the_environment_opens_all(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VERBOSE_VARIABLE, value)
    assert verbose() == expected
    with quiet():
        assert logging.getLogger("coremltools").isEnabledFor(logging.CRITICAL) == expected


def test_verbose_by_default_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VERBOSE_VARIABLE, raising=False)
    assert not verbose()


def test_other_loggers_are_left_alone() -> None:
    with quiet():
        assert logging.getLogger("somebody.else").isEnabledFor(logging.ERROR)
