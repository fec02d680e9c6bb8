"""Importing libraries that talk while they are imported.

coremltools says that Apple's frameworks are absent, torchao that its CUDA libraries are, torch
that one of its own modules is deprecated: through warnings, logging and plain prints to both
streams. None of it is the user's business. What is said during the import is dropped; what fails is
raised.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Drop what the body prints, logs and warns of.

    Logging, warning filters and the standard streams are process-wide, so the body should import
    and do nothing else.
    """
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
