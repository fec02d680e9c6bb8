"""From a path or a folder's bytes to a model, whatever its packaging.

Enters: a ``.mlpackage`` or ``.mlmodelc`` folder, or a ``.mlmodel`` file. Leaves: a
:class:`MilProgram` or a :class:`Pipeline` whose weights are views of the mapped files.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from etcoreml.blob import Directory
from etcoreml.errors import ModelTypeError, PackageError
from etcoreml.mil.compiled import (
    METADATA,
    NEURAL_NETWORK,
    PRIVATE,
    PROGRAM,
    load_compiled,
)
from etcoreml.mil.files import map_file, open_directory
from etcoreml.mil.package import MANIFEST, read_package
from etcoreml.mil.program import MilProgram
from etcoreml.mil.specification import Model, parse_model

_WEIGHTS = "weights"
_COMPILED = (PROGRAM, METADATA, PRIVATE, NEURAL_NETWORK)


def open_model(path: str | os.PathLike[str]) -> Model:
    """Open a Core ML model on disk.

    Args:
        path: A ``.mlpackage`` or ``.mlmodelc`` folder, or a ``.mlmodel`` file; what it is is told
            from its contents. Weight files of a ``.mlmodel`` are found in ``weights/`` beside it.
            Files are mapped, not read, and must not shrink while the model is alive.

    Raises:
        PackageError: There is no model at ``path``, or a file of it is missing or malformed.
        ModelTypeError: The model is of a kind that is not executed here, e.g. a neural network.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The program breaks a rule of MIL.
    """
    here = Path(path)
    if here.is_dir():
        is_compiled(here)
        return load_model(open_directory(here))
    if here.is_file():
        data = map_file(here)
        beside = here.parent / _WEIGHTS
        weights = {_WEIGHTS: open_directory(beside)} if beside.is_dir() else {}
        files = Directory.from_mapping("model", weights)
        return parse_model(data, files, PurePosixPath())
    msg = "there is no model at this path"
    raise PackageError(msg, found=str(path), expected="a .mlpackage, .mlmodelc or .mlmodel")


def is_compiled(folder: Path) -> bool:
    """Whether a folder on disk is a ``.mlmodelc``, not a ``.mlpackage``.

    Raises:
        PackageError: It is neither.
    """
    if (folder / MANIFEST).exists():
        return False
    if any((folder / name).exists() for name in _COMPILED):
        return True
    raise _no_model(f"the folder {folder.name!r}", sorted(p.name for p in folder.iterdir()))


def load_model(directory: Directory) -> Model:
    """Load a package or a compiled model.

    Args:
        directory: The ``.mlpackage`` or ``.mlmodelc`` folder, on disk or inside a blob. Its bytes
            must outlive the model.

    Raises:
        PackageError, ModelTypeError, WeightError, ModelError: As :func:`open_model`.
    """
    if directory.find(MANIFEST) is not None:
        return read_package(directory)
    if any(directory.find(name) is not None for name in _COMPILED):
        return load_compiled(directory)
    raise _no_model(f"the folder {directory.name!r}", list(directory.children))


def load_package(directory: Directory) -> MilProgram:
    """Load a package or a compiled model that must be a single ML Program.

    Args:
        directory: As for :func:`load_model`.

    Raises:
        PackageError, ModelTypeError, WeightError, ModelError: As :func:`load_model`; a pipeline
            is a ModelTypeError too.
    """
    model = load_model(directory)
    if isinstance(model, MilProgram):
        return model
    msg = "the model is not an ML Program"
    stages = ", ".join(stage.name for stage in model.stages)
    raise ModelTypeError(msg, found=f"a pipeline of {stages}", expected="an ML Program (mlProgram)")


def _no_model(what: str, names: list[str]) -> PackageError:
    return PackageError(
        f"{what} is no model",
        found=", ".join(names[:10]) or "nothing in it",
        expected=f"{MANIFEST} (a .mlpackage), or {PROGRAM} (a .mlmodelc)",
    )
