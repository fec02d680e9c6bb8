"""Where a model's files are, whatever it was given as.

Enters: a path, a ``Model`` message with its weights, or a model object of coremltools. Leaves:
`ModelFiles`, which opens the model, reads its specification, and saves it elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
import weakref
from pathlib import Path
from typing import Any

from etcoreml.blob import Directory
from etcoreml.errors import FeatureTypeError, ModelError, OptionError, PackageError, UsageError
from etcoreml.mil import Model, open_model
from etcoreml.mil.files import map_file
from etcoreml.mil.open import is_compiled
from etcoreml.mil.package import AUTHOR, MANIFEST, Manifest, read_manifest
from etcoreml.mil.specification import PIPELINES, parse_specification

_MODEL = "model.mlmodel"


class ModelFiles:
    """The files of a model on disk.

    Args:
        path: A ``.mlpackage`` or ``.mlmodelc`` folder, or a ``.mlmodel`` file.
        temporary: A folder to delete when this object is, or when the interpreter ends.
    """

    def __init__(self, path: Path, temporary: Path | None = None) -> None:
        self.path = path
        self._remove = (
            None
            if temporary is None
            else weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        )

    @property
    def is_temporary(self) -> bool:
        """Whether the files are deleted in the end."""
        return self._remove is not None

    def remove(self) -> None:
        """Delete the files now, if they are temporary; what is mapped stays readable."""
        if self._remove is not None:
            self._remove()

    @property
    def is_package(self) -> bool:
        """Whether it is a ``.mlpackage``."""
        return self.path.is_dir() and not self.is_compiled

    @property
    def is_compiled(self) -> bool:
        """Whether it is a ``.mlmodelc``, which has no specification."""
        return self.path.is_dir() and is_compiled(self.path)

    @property
    def weights_dir(self) -> Path | None:
        """The folder of a package's weight files, if there is one."""
        if not self.is_package:
            return None
        weights = _manifest(self.path).weights
        return None if weights is None else self.path / weights

    def open(self) -> Model:
        """Return the model; its files are mapped, not read.

        Raises:
            ModelError: As :func:`etcoreml.mil.open_model`.
        """
        try:
            return open_model(self.path)
        except ModelError as error:
            if not self.is_temporary and str(self.path) not in str(error):
                error.what = f"'{self.path}': {error.what}"
            raise

    def read_spec(self) -> Any:
        """Return the specification, a ``Model`` message.

        Raises:
            ModelError: A compiled model has none, or it cannot be read.
        """
        if self.is_compiled:
            raise ModelError(
                "a compiled model carries no specification",
                found=str(self.path),
                hint="Open the .mlpackage or .mlmodel that it was compiled from.",
            )
        path = spec_path(self.path)
        try:
            return parse_specification(map_file(path))
        except PackageError as error:
            error.what = f"cannot read the specification '{path}': {error.what}"
            raise


def locate(
    model: Any, weights_dir: str | os.PathLike[str] | None, is_temporary: bool
) -> ModelFiles:
    """Find or write the files of a model.

    Args:
        model: A path; a ``Model`` message; or an object with ``get_spec()`` and ``weights_dir``,
            as ``coremltools.models.MLModel`` and our own have. A message goes into a temporary
            package together with links to its weight files, or copies where links cannot be had.
        weights_dir: The folder of the weight files of a message.
        is_temporary: Whether to delete a package at this path in the end.

    Raises:
        FeatureTypeError: ``model`` is none of these.
        OptionError: A message of an ML Program came without ``weights_dir``, or a path with one.
        PackageError: There is nothing at the path.
    """
    if isinstance(model, (str, os.PathLike)):
        if weights_dir is not None:
            raise OptionError(
                "weights_dir goes with a specification, not with a path",
                found=f"weights_dir={os.fspath(weights_dir)!r}",
                expected="the path of a .mlpackage, which holds its weights",
            )
        return _at_path(os.fspath(model), is_temporary)
    if is_temporary:
        raise OptionError(
            "is_temp_package goes with the path of a package", found=type(model).__name__
        )
    if _is_spec(model):
        return _in_temporary(model, weights_dir)
    if callable(getattr(model, "get_spec", None)) and hasattr(model, "weights_dir"):
        spec = model.get_spec()
        given = model.weights_dir if weights_dir is None else weights_dir
        return _in_temporary(spec, given, may_lack_weights=True)
    raise FeatureTypeError(
        "model is nothing that can be opened",
        found=type(model).__name__,
        expected="the path of a .mlpackage, .mlmodel or .mlmodelc, a Model message, or a "
        "coremltools.models.MLModel",
    )


def spec_path(path: Path) -> Path:
    """Return where the specification of a ``.mlpackage`` or ``.mlmodel`` is.

    Raises:
        PackageError: The package's manifest does not say.
    """
    if not path.is_dir():
        return path
    return path / _manifest(path).model


def _manifest(package: Path) -> Manifest:
    path = package / MANIFEST
    try:
        return read_manifest(Directory.from_mapping("model", {MANIFEST: path.read_bytes()}))
    except OSError as error:
        raise PackageError(f"cannot read '{path}'", found=error) from error
    except PackageError as error:
        error.what = f"'{package}': {error.what}"
        raise


def _at_path(name: str, is_temporary: bool) -> ModelFiles:
    if not name:
        raise PackageError("the path of the model is empty", expected="a .mlpackage or .mlmodel")
    path = Path(name).absolute()
    if not path.exists():  # a file of that very name comes first
        path = Path(os.path.expandvars(name)).expanduser().absolute()
    if not path.exists():
        raise PackageError(
            "there is no model at this path",
            found=str(path),
            expected="a .mlpackage, .mlmodel or .mlmodelc",
        )
    if path.suffix == ".pte":
        raise PackageError(
            f"'{path}' is no Core ML model",
            found="an ExecuTorch program",
            hint="etcoreml.load(path) runs it.",
        )
    if is_temporary and path.is_dir():
        return ModelFiles(path, path)
    return ModelFiles(path)


def _is_spec(model: Any) -> bool:
    descriptor = getattr(model, "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", None) == "CoreML.Specification.Model"


def _in_temporary(
    spec: Any, weights_dir: str | os.PathLike[str] | None, may_lack_weights: bool = False
) -> ModelFiles:
    if not _has_program(spec):
        folder = Path(tempfile.mkdtemp(prefix="etcoreml-"))
        path = folder / _MODEL
        path.write_bytes(spec.SerializeToString())
        return ModelFiles(path, folder)
    if weights_dir is None and not may_lack_weights and spec.WhichOneof("Type") == "mlProgram":
        raise OptionError(
            "an ML Program given as a specification needs its weights too",
            found="weights_dir=None",
            expected="the folder of its weight files, e.g. the weights_dir of the model it "
            "came from; an empty one if it has none",
        )
    package = Path(tempfile.mkdtemp(prefix="etcoreml-", suffix=".mlpackage"))
    files = ModelFiles(package, package)
    try:
        write_package(package, spec, None if weights_dir is None else Path(weights_dir), link=True)
    except BaseException:
        files.remove()
        raise
    return files


def _has_program(spec: Any) -> bool:
    kind = spec.WhichOneof("Type")
    if kind not in PIPELINES:
        return bool(kind == "mlProgram")
    pipeline = getattr(spec, kind)
    pipeline = pipeline if kind == "pipeline" else pipeline.pipeline
    return any(_has_program(each) for each in pipeline.models)


def write_package(package: Path, spec: Any, weights: Path | None, *, link: bool = False) -> None:
    """Write a package into an existing, empty folder.

    Args:
        package: The folder.
        spec: The ``Model`` message.
        weights: Folder of weight files, copied by the system, never through this process.
        link: Whether to link the weight files where the file system can.

    Raises:
        UsageError: A file cannot be read or written.
    """
    data = package / "Data" / AUTHOR
    try:
        data.mkdir(parents=True)
        (data / _MODEL).write_bytes(spec.SerializeToString())
        items = [(_MODEL, "CoreML Model Specification")]
        if weights is not None:
            shutil.copytree(
                weights, data / "weights", copy_function=_link if link else shutil.copy2
            )
            items.append(("weights", "CoreML Model Weights"))
        (package / MANIFEST).write_text(_manifest_text(items), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write the package '{package}'", found=error.strerror or error
        ) from error


def _manifest_text(items: list[tuple[str, str]]) -> str:
    entries = {
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"{AUTHOR}/{name}")).upper(): {
            "author": AUTHOR,
            "description": description,
            "name": name,
            "path": f"{AUTHOR}/{name}",
        }
        for name, description in items
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": next(iter(entries)),
    }
    return json.dumps(manifest, indent=4)


def _link(source: str, destination: str) -> str:
    with contextlib.suppress(OSError):  # another file system, or one without links
        os.link(source, destination)
        return destination
    return str(shutil.copy2(source, destination))
