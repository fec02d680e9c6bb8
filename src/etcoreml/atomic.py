"""Writing files and folders whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from etcoreml.errors import UsageError

_PREFIX = ".etcoreml-"
"""Of temporary folders. Not the name of what they become: with it, theirs might be too long."""


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


@contextlib.contextmanager
def make_folder_atomic(path: Path) -> Iterator[Path]:
    """Make a folder that takes its place once the block has ended without an error.

    Args:
        path: The folder. An empty one may be there already.

    Yields:
        A temporary sibling to write into.

    Raises:
        OSError: It cannot be made, or something else than an empty folder has its name.
    """
    temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    try:
        yield temporary
        open_to_others(temporary, 0o777)
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextlib.contextmanager
def replace_atomic(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Create or replace files and folders together, once the block has ended without an error.

    Args:
        folder: Where they are, or will be. Whatever else is in it stays.
        names: Theirs.

    Yields:
        A temporary folder to write all of them into, under these names.

    Raises:
        OSError: One cannot be written or moved; all that was there is as it was.
    """
    with tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=folder, ignore_cleanup_errors=True
    ) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        old.mkdir()
        yield new
        moved: list[str] = []
        try:
            for name in names:
                if (folder / name).exists():
                    (folder / name).rename(old / name)
                moved.append(name)
                (new / name).rename(folder / name)
        except BaseException:
            for name in moved:
                _remove(folder / name)
                if (old / name).exists():
                    (old / name).rename(folder / name)
            raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def open_to_others(path: Path, mode: int) -> None:
    """Give a temporary file or folder, its owner's alone, the rights that others are made with.

    Args:
        path: The file or folder.
        mode: Those of a new one before the process's mask: 0o666 of files, 0o777 of folders.
    """
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)
