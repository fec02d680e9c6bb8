"""A ``.mlpackage`` folder, on disk or inside a blob, to a model.

Enters: :class:`etcoreml.blob.Directory`. Leaves: a program or pipeline whose weights are views of
the folder's bytes.

Layout: ``Manifest.json`` names the root model; it lies under ``Data/``, its weight files beside
it, reached as ``@model_path/weights/...``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from etcoreml.blob import Directory
from etcoreml.errors import PackageError
from etcoreml.mil.contents import inside, read_file, read_json
from etcoreml.mil.specification import Model, parse_model

MANIFEST = "Manifest.json"
AUTHOR = "com.apple.CoreML"
"""Author of a package's items, and the folder of its files."""


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
    path = read_manifest(directory).model
    return parse_model(read_file(directory, path), directory, path.parent)


@dataclass(frozen=True)
class Manifest:
    """Where a package keeps what, relative to its folder.

    Attributes:
        model: The specification.
        weights: The folder of weight files; None if the package names none.
    """

    model: PurePosixPath
    weights: PurePosixPath | None


def read_manifest(directory: Directory) -> Manifest:
    """Read the manifest of a package.

    Args:
        directory: A folder that holds at least the file ``MANIFEST``.

    Raises:
        PackageError: The manifest is missing or malformed, or leads out of the package.
    """
    manifest = read_json(directory, PurePosixPath(MANIFEST))
    if not isinstance(manifest, dict):
        msg = f"{MANIFEST} is not an object"
        raise PackageError(msg, found=type(manifest).__name__)
    root = manifest.get("rootModelIdentifier")
    entries = manifest.get("itemInfoEntries")
    items = entries if isinstance(entries, dict) else {}
    path = _path(items.get(root) if isinstance(root, str) else None)
    if path is None:
        msg = f"{MANIFEST} does not say where the model is"
        raise PackageError(
            msg,
            found=f"rootModelIdentifier {root!r}",
            expected="the key of an entry of itemInfoEntries with a path",
        )
    weights = (_path(item) for item in items.values() if _is_weights(item))
    return Manifest(path, next(weights, None))


def _is_weights(item: object) -> bool:
    return isinstance(item, dict) and item.get("name") == "weights" and item.get("author") == AUTHOR


def _path(item: object) -> PurePosixPath | None:
    path = item.get("path") if isinstance(item, dict) else None
    return inside(PurePosixPath("Data"), path, MANIFEST) if isinstance(path, str) else None
