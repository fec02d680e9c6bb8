"""Importing libraries that talk while they are imported.

coremltools says that Apple's frameworks are absent, torchao that its CUDA libraries are, torch
that one of its own modules is deprecated: through warnings, logging and plain prints to both
streams. None of it is the user's business. What is said during the import is dropped; what fails is
raised. ``ETCOREML_VERBOSE=1`` lets all of it through.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator

VERBOSE_VARIABLE = "ETCOREML_VERBOSE"


def verbose() -> bool:
    """Whether the environment asks for the libraries' own output."""
    return os.environ.get(VERBOSE_VARIABLE, "") not in ("", "0")


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Drop what the body prints, logs and warns of.

    Logging, warning filters and the standard streams are process-wide, so the body should import
    and do nothing else.
    """
    if verbose():
        yield
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
