"""Reading the files of a model folder, and nothing outside it.

Enters: :class:`etcoreml.blob.Directory` and paths that a model's files name. Leaves: views of
their bytes, parsed JSON, entries of weight files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from etcoreml.blob import Directory
from etcoreml.errors import BlobPathError, PackageError
from etcoreml.mil.program import Array
from etcoreml.mil.weights import WeightFile
from etcoreml.types import DType

_MODEL_PATH = "@model_path"


class WeightReader:
    """Reads entries of the weight files a program names; callable as ``decode.ReadBlob``.

    Args:
        directory: Where the files are.
        folders: What ``@model_path`` stands for, relative to ``directory``; where there are
            several, the first one that holds a file counts.
    """

    def __init__(self, directory: Directory, *folders: PurePosixPath) -> None:
        self._directory = directory
        self._folders = folders
        self._files: dict[str, WeightFile] = {}

    def __call__(
        self, name: str, offset_bytes: int, dtype: DType, shape: tuple[int, ...], what: str
    ) -> Array:
        """View an entry.

        Raises:
            PackageError: The file is missing, or outside the model.
            WeightError: The entry is out of bounds or of another dtype or size.
        """
        if name not in self._files:
            self._files[name] = self._open(name)
        return self._files[name].read(offset_bytes, dtype, shape, what)

    def sources(self, specification: memoryview) -> Mapping[str, memoryview]:
        """Return what a program was read from: its specification, and the files read so far."""
        files = {name: file.data for name, file in sorted(self._files.items())}
        return MappingProxyType({"": specification, **files})

    def _open(self, name: str) -> WeightFile:
        if not name.startswith(f"{_MODEL_PATH}/"):
            msg = "a weight file is not part of the package"
            raise PackageError(msg, found=repr(name), expected=f"a path below {_MODEL_PATH}")
        path = name.removeprefix(f"{_MODEL_PATH}/")
        candidates = [inside(folder, path, "the model") for folder in self._folders]
        held = [each for each in candidates if self._directory.find(str(each)) is not None]
        chosen = (held or candidates)[0]
        return WeightFile(str(chosen), read_file(self._directory, chosen))


def inside(folder: PurePosixPath, path: str, who: str) -> PurePosixPath:
    """Join a path to a folder.

    Raises:
        PackageError: The path leads out of the folder; ``who`` names it in the message.
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        msg = f"{who} names a file outside the package"
        raise PackageError(msg, found=repr(path))
    return folder / relative


def read_file(directory: Directory, path: PurePosixPath) -> memoryview:
    """Return a view of a file.

    Raises:
        PackageError: There is no such file.
    """
    try:
        return directory.read(str(path))
    except BlobPathError as error:
        what = f"the model package has no file {str(path)!r}"
        folder = directory.find(str(path.parent)) if path.parent.parts else directory
        held = sorted(folder.children) if isinstance(folder, Directory) else "no such folder"
        raise PackageError(what, found=held) from error


def read_json(directory: Directory, path: PurePosixPath) -> object:
    """Parse a JSON file.

    Raises:
        PackageError: There is no such file, or it is not JSON.
    """
    data = read_file(directory, path)
    try:
        return json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON"
        raise PackageError(msg, found=error) from error
