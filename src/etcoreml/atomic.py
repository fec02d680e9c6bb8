"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from etcoreml.errors import UsageError


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Create or replace ``path`` with what ``write`` puts into a file.

    The content goes to a temporary sibling that is renamed once it is complete, so that a failure
    leaves an existing file as it was and no fragment behind.

    Args:
        path: The file.
        write: Called with the file, open for binary writing.

    Raises:
        UsageError: The directory does not exist or cannot be written to, or the disk is full.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        open_to_others(temporary, 0o666)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write '{path}': {error.strerror or error}") from error
        raise


def open_to_others(path: Path, mode: int) -> None:
    """Give a temporary file or folder, its owner's alone, the rights that others are made with.

    Args:
        path: The file or folder.
        mode: Those of a new one before the process's mask: 0o666 of files, 0o777 of folders.
    """
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)
