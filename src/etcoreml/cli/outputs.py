"""Where a command writes: checked before the work whose result goes there."""

from __future__ import annotations

import os
from pathlib import Path

from etcoreml.errors import UsageError


def check_writable(path: Path, *suffixes: str) -> None:
    """Check that a file can be created or replaced.

    Args:
        path: The file.
        suffixes: What its name has to end with, one of these.

    Raises:
        UsageError: It cannot, or has another suffix.
    """
    if path.suffix not in suffixes and not path.is_dir():
        raise UsageError(
            f"cannot write '{path}'",
            found=path.suffix or "no suffix",
            expected=f"a {' or '.join(suffixes)} file",
        )
    check_directory(path)


def check_directory(path: Path) -> None:
    """Check that a file of any suffix can be created or replaced.

    Raises:
        UsageError: It cannot.
    """
    if path.is_dir():
        raise UsageError(f"cannot write '{path}': it is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write '{path}': there is no directory '{path.parent}'")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write '{path}': '{path.parent}' is not writable")
