"""coremltools, imported quietly: the only file of etcoreml that imports it at run time.

Enters: nothing. Leaves: the module, from :func:`coremltools`.
"""

from __future__ import annotations

import functools
from typing import Any

from etcoreml.imports import quiet_imports


@functools.cache
def coremltools() -> Any:
    """Import coremltools without output and return it.

    Raises:
        ImportError: coremltools is not installed or broken.
    """
    with quiet_imports():
        import coremltools as module  # noqa: TID251 - the one place
    return module
