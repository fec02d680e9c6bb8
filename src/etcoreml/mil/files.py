"""A model's folder on disk as a tree of mapped files.

Enters: a path. Leaves: :class:`etcoreml.blob.Directory`, whose large files are mapped and not
read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from etcoreml.blob import Directory
from etcoreml.errors import BlobError, PackageError
from etcoreml.mapped import MappedFile

MAX_ENTRIES = 10_000
"""A package holds some ten files; a folder with more entries than this is something else."""


def open_directory(path: Path) -> Directory:
    """Map a model's folder.

    Symbolic links are followed to where the folder itself, or the cache of Hugging Face's client
    that holds it (``snapshots/<revision>/...`` linking to ``blobs/<hash>``), ends; a link further
    out is refused, since a model from elsewhere must not choose what is read.

    Args:
        path: The folder. Its files must not shrink while the tree is alive.

    Raises:
        PackageError: It cannot be read, holds a link that leads out, a special file, or more
            than ``MAX_ENTRIES`` entries.
    """
    try:
        _check(path)
        return Directory.from_path(path, path.resolve().name or "model")
    except (OSError, BlobError) as error:
        msg = f"the model {path.name!r} cannot be read"
        raise PackageError(msg, found=error) from error


def map_file(path: Path) -> memoryview:
    """Map a file.

    Raises:
        PackageError: It cannot be read.
    """
    try:
        # An empty file cannot be mapped.
        return memoryview(MappedFile.open(path) if path.stat().st_size else b"")
    except OSError as error:
        msg = f"the model {path.name!r} cannot be read"
        raise PackageError(msg, found=error) from error


def _check(path: Path) -> None:
    allowed = (path.resolve(strict=True), *_cache(path))
    for count, entry in enumerate(_entries(path)):
        if count >= MAX_ENTRIES:
            msg = f"the folder {path.name!r} is no model"
            raise PackageError(msg, found=f"more than {MAX_ENTRIES} files and folders")
        if not entry.is_symlink():
            continue
        target = entry.resolve(strict=True)
        if not any(target.is_relative_to(root) for root in allowed):
            msg = f"the model {path.name!r} holds a link that leads out of it"
            raise PackageError(
                msg,
                found=f"{entry.relative_to(path)} -> {target}",
                hint="Copy the model with the files it links to: cp -rL.",
            )


def _entries(path: Path) -> Iterator[Path]:
    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(path, onerror=stop):
        for name in (*folders, *files):
            yield Path(folder, name)


def _cache(path: Path) -> Iterator[Path]:
    """Yield the folder of blobs of the Hugging Face cache that ``path`` lies in, if it does."""
    for parent in Path(os.path.abspath(path)).parents:  # noqa: PTH100 - links stay unresolved
        blobs = parent.parent / "blobs"
        if parent.name == "snapshots" and blobs.is_dir():
            yield blobs.resolve()
