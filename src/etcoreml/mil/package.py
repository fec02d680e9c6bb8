"""A ``.mlpackage`` folder, on disk or inside a blob, to a program.

Enters: :class:`etcoreml.blob.Directory`. Leaves: :class:`MilProgram` whose weights are views of
the folder's bytes.

Layout: ``Manifest.json`` names the root model; it lies under ``Data/``, its weight files beside
it, reached as ``@model_path/weights/...``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from etcoreml.blob import Directory
from etcoreml.errors import BlobPathError, ModelTypeError, PackageError
from etcoreml.mil.decode import decode_model
from etcoreml.mil.program import Array, MilProgram
from etcoreml.mil.proto import module
from etcoreml.mil.validity import check_program
from etcoreml.mil.weights import WeightFile
from etcoreml.types import DType

_MANIFEST = "Manifest.json"
_MODEL_PATH = "@model_path"

_KINDS = {
    "neuralNetwork": "a neural network",
    "neuralNetworkClassifier": "a neural network classifier",
    "neuralNetworkRegressor": "a neural network regressor",
    "pipeline": "a pipeline",
    "pipelineClassifier": "a pipeline classifier",
    "pipelineRegressor": "a pipeline regressor",
    "treeEnsembleClassifier": "a tree ensemble classifier",
    "treeEnsembleRegressor": "a tree ensemble regressor",
    "nonMaximumSuppression": "a non-maximum suppression model",
}


def load_package(directory: Directory) -> MilProgram:
    """Load the ML Program of a model package.

    Args:
        directory: The ``.mlpackage`` folder. Its bytes must outlive the program.

    Raises:
        PackageError: The manifest or a file it names is missing or malformed.
        ModelTypeError: The model is not an ML Program.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The program breaks a rule of MIL.
    """
    path = _root_model(directory)
    return parse_model(_read(directory, path), directory, path.parent)


def parse_model(data: memoryview, directory: Directory, folder: PurePosixPath) -> MilProgram:
    """Parse the bytes of a ``.mlmodel``.

    Args:
        data: The serialised ``Model``.
        directory: Where its weight files are found.
        folder: What ``@model_path`` stands for, relative to ``directory``.

    Raises:
        PackageError, ModelTypeError, WeightError, ModelError: As :func:`load_package`.
    """
    model = module("Model_pb2").Model()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError has moved between its versions
        what = f"{folder}: the model is not a serialised Core ML specification"
        raise PackageError(what, found=error) from error
    kind = model.WhichOneof("Type")
    if kind != "mlProgram":
        msg = "the model is not an ML Program"
        raise ModelTypeError(
            msg,
            found=_KINDS.get(kind, kind or "no model at all"),
            expected="an ML Program (mlProgram)",
            hint="Convert it with coremltools' convert_to='mlprogram'.",
        )
    files: dict[str, WeightFile] = {}

    def read_blob(
        name: str, offset_bytes: int, dtype: DType, shape: tuple[int, ...], what: str
    ) -> Array:
        if name not in files:
            files[name] = _weight_file(directory, folder, name)
        return files[name].read(offset_bytes, dtype, shape, what)

    program = decode_model(model, read_blob)
    check_program(program)
    sources = {"": data, **{name: file.data for name, file in sorted(files.items())}}
    return replace(program, sources=MappingProxyType(sources))


def _root_model(directory: Directory) -> PurePosixPath:
    manifest = _json(_read(directory, PurePosixPath(_MANIFEST)))
    root = manifest.get("rootModelIdentifier")
    items = manifest.get("itemInfoEntries")
    item = items.get(root) if isinstance(items, dict) else None
    path = item.get("path") if isinstance(item, dict) else None
    if not isinstance(path, str):
        msg = f"{_MANIFEST} does not say where the model is"
        raise PackageError(
            msg,
            found=f"rootModelIdentifier {root!r}",
            expected="the key of an entry of itemInfoEntries with a path",
        )
    return _inside(PurePosixPath("Data"), path, _MANIFEST)


def _weight_file(directory: Directory, folder: PurePosixPath, name: str) -> WeightFile:
    if not name.startswith(f"{_MODEL_PATH}/"):
        msg = "a weight file is not part of the package"
        raise PackageError(
            msg,
            found=repr(name),
            expected=f"a path below {_MODEL_PATH}",
        )
    path = _inside(folder, name.removeprefix(f"{_MODEL_PATH}/"), "the model")
    return WeightFile(str(path), _read(directory, path))


def _inside(folder: PurePosixPath, path: str, who: str) -> PurePosixPath:
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        msg = f"{who} names a file outside the package"
        raise PackageError(msg, found=repr(path))
    return folder / relative


def _read(directory: Directory, path: PurePosixPath) -> memoryview:
    try:
        return directory.read(str(path))
    except BlobPathError as error:
        what = f"the model package has no file {str(path)!r}"
        raise PackageError(what, found=sorted(directory.children)) from error


def _json(data: memoryview) -> dict[str, Any]:
    try:
        value = json.loads(bytes(data))
    except ValueError as error:
        msg = f"{_MANIFEST} is not JSON"
        raise PackageError(msg, found=error) from error
    if not isinstance(value, dict):
        msg = f"{_MANIFEST} is not an object"
        raise PackageError(msg, found=type(value).__name__)
    return value
