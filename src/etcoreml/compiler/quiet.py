"""Silence around coremltools: what it prints, logs and draws during our calls is not the user's.

coremltools reports through five channels: tqdm bars, its logger, warnings, the standard streams,
and the finalizers of its temporary directories. ``quiet`` closes them for one call and restores
each. ``ETCOREML_VERBOSE=1`` leaves them open.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from etcoreml.imports import VERBOSE_VARIABLE as VERBOSE_VARIABLE
from etcoreml.imports import verbose as verbose
from etcoreml.mil.ct import coremltools

# The modules that hold a reference to tqdm, verified with coremltools 9.0.
_BAR_MODULES = (
    "coremltools.converters.mil.frontend.torch.ops",
    "coremltools.converters.mil.mil.passes.pass_pipeline",
    "coremltools.optimize.coreml._post_training_quantization",
    "coremltools.optimize.coreml._quantization_passes",
)
_BAR_NAMES = ("tqdm", "_tqdm")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run the body without output of coremltools; exceptions pass.

    Only coremltools' logger and bars are touched, so that other threads keep their output; the
    warning filters are process-wide in Python and are restored at the end.
    """
    if verbose():
        yield
        return
    logger = logging.getLogger(coremltools().__name__)
    level = logger.level
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logger.setLevel, level)
        logger.setLevel(logging.CRITICAL + 1)
        for module in map(sys.modules.get, _BAR_MODULES):
            for name in _BAR_NAMES:
                if module is not None and hasattr(module, name):
                    _hide_bar(stack, module, name)
        yield


def _hide_bar(stack: contextlib.ExitStack, module: ModuleType, name: str) -> None:
    """Make the progress bars of ``module`` invisible until ``stack`` unwinds."""
    bar: Any = getattr(module, name)
    stack.callback(setattr, module, name, bar)
    setattr(module, name, functools.partial(bar, disable=True))
