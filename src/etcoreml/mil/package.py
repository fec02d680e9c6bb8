"""A ``.mlpackage`` folder, on disk or inside a blob, to a model.

Enters: :class:`etcoreml.blob.Directory`. Leaves: a program or pipeline whose weights are views of
the folder's bytes.

Layout: ``Manifest.json`` names the root model; it lies under ``Data/``, its weight files beside
it, reached as ``@model_path/weights/...``.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from etcoreml.blob import Directory
from etcoreml.errors import PackageError
from etcoreml.mil.contents import inside, read_file, read_json
from etcoreml.mil.specification import Model, parse_model

MANIFEST = "Manifest.json"


def read_package(directory: Directory) -> Model:
    """Load the model of a package.

    Args:
        directory: The ``.mlpackage`` folder. Its bytes must outlive the model.

    Raises:
        PackageError: The manifest or a file it names is missing or malformed.
        ModelTypeError: The model is neither an ML Program nor a pipeline of them.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The program breaks a rule of MIL.
    """
    path = _root_model(directory)
    return parse_model(read_file(directory, path), directory, path.parent)


def _root_model(directory: Directory) -> PurePosixPath:
    manifest = read_json(directory, PurePosixPath(MANIFEST))
    if not isinstance(manifest, dict):
        msg = f"{MANIFEST} is not an object"
        raise PackageError(msg, found=type(manifest).__name__)
    root = manifest.get("rootModelIdentifier")
    items = manifest.get("itemInfoEntries")
    item = items.get(root) if isinstance(items, dict) and isinstance(root, str) else None
    path = item.get("path") if isinstance(item, dict) else None
    if not isinstance(path, str):
        msg = f"{MANIFEST} does not say where the model is"
        raise PackageError(
            msg,
            found=f"rootModelIdentifier {root!r}",
            expected="the key of an entry of itemInfoEntries with a path",
        )
    return inside(PurePosixPath("Data"), path, MANIFEST)
