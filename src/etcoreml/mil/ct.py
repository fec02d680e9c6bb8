"""coremltools, imported quietly: the only file of etcoreml that imports it at run time.

Enters: nothing. Leaves: the module, from :func:`coremltools`.

On Linux ``import coremltools`` reports, through warnings, logging and plain prints to both
streams, that Apple's frameworks are absent and that torch is newer than it knows. None of that is
the user's business: the parts we use need no framework. What is said during the import is
dropped; what fails is raised.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from typing import Any


@functools.cache
def coremltools() -> Any:
    """Import coremltools without output and return it.

    Raises:
        ImportError: coremltools is not installed or broken.
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
            import coremltools as module  # noqa: TID251 - the one place
    finally:
        logging.disable(disabled)
    return module
