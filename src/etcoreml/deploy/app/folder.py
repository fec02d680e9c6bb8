"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from etcoreml.atomic import make_folder_atomic
from etcoreml.errors import UsageError


def check_new(path: Path) -> None:
    """Check that a folder can be made: it must not exist, or be empty.

    Raises:
        UsageError: It cannot.
    """
    if path.is_dir() and not path.is_symlink():
        if any(path.iterdir()):
            raise UsageError(
                f"cannot write '{path}': it is not empty",
                hint="Nothing is ever overwritten: name a folder that does not exist.",
            )
    elif path.exists() or path.is_symlink():
        raise UsageError(f"cannot write '{path}': it exists and is no folder")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"cannot write '{path}': there is no directory '{path.parent}'")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"cannot write '{path}': '{path.parent}' is not writable")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes its place once the block has ended without an error.

    Args:
        path: The folder; see `check_new`.

    Yields:
        A temporary sibling to write into.

    Raises:
        UsageError: It cannot be made, or the disk is full.
    """
    check_new(path)
    try:
        with make_folder_atomic(path.absolute()) as temporary:
            yield temporary
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror or error}") from error


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files into a folder, by their relative paths."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
