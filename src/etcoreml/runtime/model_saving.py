"""Saving a model under another name, whole or not at all.

Weight files are copied by the operating system; they never pass through this process.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from etcoreml.atomic import open_to_others, replace_atomic, write_atomic
from etcoreml.errors import FeatureTypeError, OptionError, UsageError
from etcoreml.runtime.model_files import ModelFiles, spec_path

_PACKAGE = ".mlpackage"


def save(files: ModelFiles, spec: Any, path: str | os.PathLike[str]) -> Path:
    """Write a model with a new specification.

    Args:
        files: The model's files.
        spec: The specification to write instead of theirs.
        path: A ``.mlpackage`` for a package, whose suffix may be left out; any file for a
            ``.mlmodel``. What is there already is replaced.

    Returns:
        Where it was written.

    Raises:
        OptionError: The suffix is another format's.
        FeatureTypeError: The path is none.
        UsageError: The path is empty or cannot be written to; what was there is left as it was.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise FeatureTypeError("the place to save to is no path", found=type(path).__name__)
    if not os.fspath(path):
        raise UsageError("the place to save to is empty", expected="the path of a .mlpackage")
    target = Path(path).expanduser().absolute()
    data = spec.SerializeToString(deterministic=True)
    if not files.is_package:
        if target.suffix == _PACKAGE:
            raise OptionError(
                "a model in one file cannot be saved as a package",
                found=target.name,
                expected="a .mlmodel",
            )
        write_atomic(target, lambda file: file.write(data))
        return target
    if not target.suffix:
        target = target.with_name(target.name + _PACKAGE)
    if target.suffix != _PACKAGE:
        raise OptionError(
            "an ML Program is saved as a package", found=target.suffix, expected=_PACKAGE
        )
    _replace_folder(files.path, target, data)
    return target


def _replace_folder(source: Path, target: Path, spec: bytes) -> None:
    """Copy a package next to ``target`` and put it in its place."""
    try:
        with replace_atomic(target.parent, (target.name,)) as scratch:
            new = scratch / target.name
            shutil.copytree(source, new)
            open_to_others(new, 0o777)
            spec_path(new).unlink()  # a link may lead out of the copy
            spec_path(new).write_bytes(spec)
    except OSError as error:
        raise UsageError(f"cannot write '{target}'", found=error.strerror or error) from error
