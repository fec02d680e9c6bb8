"""From a path on disk to a model, whatever its packaging.

Enters: a ``.mlpackage`` or ``.mlmodelc`` folder, or a ``.mlmodel`` file. Leaves: a
:class:`MilProgram` or a :class:`Pipeline` whose weights are views of the mapped files.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Union

from etcoreml.blob import Directory
from etcoreml.errors import PackageError
from etcoreml.mil.package import load_package, parse_model
from etcoreml.mil.pipeline import Pipeline
from etcoreml.mil.program import MilProgram

Model = Union[MilProgram, Pipeline]  # noqa: UP007 - as a run-time value, on Python 3.10


def open_model(path: str | os.PathLike[str]) -> Model:
    """Open a Core ML model.

    Args:
        path: A ``.mlpackage`` or ``.mlmodelc`` folder, or a ``.mlmodel`` file. Its files are
            mapped, not read, and must not shrink while the model is alive.

    Raises:
        PackageError: There is no model at ``path``, or a file of it is missing or malformed.
        ModelTypeError: The model is of a kind that is not executed here, e.g. a neural network.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The program breaks a rule of MIL.
    """
    here = Path(path)
    if here.is_dir():
        return load_package(Directory.from_path(here))
    if here.is_file():
        files = Directory.from_mapping("model", {"model.mlmodel": here.read_bytes()})
        return parse_model(files.read("model.mlmodel"), files, PurePosixPath())
    msg = "there is no model at this path"
    raise PackageError(msg, found=str(path), expected="a .mlpackage, .mlmodelc or .mlmodel")
