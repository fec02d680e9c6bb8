"""What the user hears of a lowering: our own progress, and the libraries when asked for."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator

import typer

import etcoreml
from etcoreml.imports import VERBOSE_VARIABLE

_LIBRARIES = r"(executorch|coremltools|torchao)\b"


@contextlib.contextmanager
def libraries(speak: bool) -> Iterator[None]:
    """Let libraries speak or not while the body runs.

    Args:
        speak: Whether the output of coremltools and warnings of all libraries are shown. Else
            they are not, unless the environment asks for them.
    """
    before = os.environ.get(VERBOSE_VARIABLE)
    with warnings.catch_warnings():
        if speak:
            os.environ[VERBOSE_VARIABLE] = "1"
            warnings.simplefilter("default")
        else:
            # What executorch warns of in a lowering is about itself, or in our report.
            warnings.filterwarnings("ignore", category=UserWarning, module=_LIBRARIES)
        try:
            yield
        finally:
            if speak:
                os.environ.pop(VERBOSE_VARIABLE)
                if before is not None:
                    os.environ[VERBOSE_VARIABLE] = before


@contextlib.contextmanager
def steps(say: Callable[[str], None], *, printed: bool) -> Iterator[None]:
    """Pass the steps that etcoreml logs while the body runs to a progress display.

    Args:
        say: Receives each step.
        printed: Whether steps are printed too, a line each.
    """
    logger = logging.getLogger(etcoreml.__name__)
    level, propagate = logger.level, logger.propagate
    handler = _Steps(say, printed)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the root logger's handlers would print them
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _Steps(logging.Handler):
    """Says what is logged for information; what is more is the report's to say."""

    def __init__(self, say: Callable[[str], None], printed: bool) -> None:
        super().__init__(logging.INFO)
        self._say = say
        self._printed = printed

    def emit(self, record: logging.LogRecord) -> None:
        step = record.getMessage()
        if record.levelno == logging.INFO:
            self._say(step)
        if self._printed:
            typer.echo(f"  {step}", err=True)
