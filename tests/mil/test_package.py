"""Loading packages written by coremltools, and refusing broken ones. Oracle: coremltools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.errors import ModelError, ModelTypeError, PackageError, WeightError
from etcoreml.mil import MilProgram, TensorType, load_package
from etcoreml.mil.proto import module
from etcoreml.types import FP16, FP32
from tests.cases import mil_builder, mil_function, normal, save_converted

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
W = normal(8, 4, seed=1)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear layer whose weights are large enough for the weight file."""

    def build(x: Any) -> Any:
        mil = mil_builder()
        return mil.linear(x=x, weight=W, bias=np.arange(8, dtype=np.float32), name="y")

    def describe(model: Any) -> None:
        model.user_defined_metadata["colour"] = "blue"
        model.short_description = "A linear layer."

    source = mil_function({"x": np.zeros((3, 4), np.float32)}, build, "iOS16")
    path = tmp_path_factory.mktemp("package") / "model.mlpackage"
    return save_converted(source, path, target="iOS16", prepare=describe)


def _files(package: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }


def _directory(files: Mapping[str, bytes]) -> Directory:
    tree: dict[str, Any] = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = data
    return Directory.from_mapping("model.mlpackage", tree)


def _linear_weight(program: MilProgram) -> Any:
    (operation,) = (
        op
        for op in program.functions["main"].block.walk()
        if op.outputs[0].type.shape == (8, 4)  # type: ignore[union-attr]
    )
    return operation.attributes["val"]


def test_the_program_is_what_coremltools_wrote(package: Path) -> None:
    program = load_package(Directory.from_path(package))
    function = program.functions[program.default_function]
    assert (function.name, function.opset, program.spec_version) == ("main", "CoreML6", 7)
    assert [(v.name, v.type) for v in function.inputs] == [("x", TensorType(FP32, (3, 4)))]
    assert [(v.name, v.type) for v in function.outputs] == [("y", TensorType(FP32, (3, 8)))]
    linear = function.block.operations[-1]
    assert (linear.type, linear.name) == ("linear", "y")
    assert set(linear.inputs) == {"x", "weight", "bias"}
    assert linear.inputs["x"] == ("x",)
    (x,) = program.signatures["main"].inputs
    assert (x.name, x.kind, x.dtype, x.shape) == ("x", "multiArray", FP32, (3, 4))
    assert program.user_defined["colour"] == "blue"
    assert program.description == "A linear layer."


def test_weights_are_views_of_the_file(package: Path) -> None:
    data = np.frombuffer(bytearray((package / WEIGHTS).read_bytes()), np.uint8)
    files = {**_files(package), WEIGHTS: memoryview(data)}
    weight = _linear_weight(load_package(_directory(files))).unpack()  # type: ignore[arg-type]
    np.testing.assert_array_equal(weight, W)
    assert np.shares_memory(weight, data)
    assert not weight.flags.writeable


def test_weights_that_start_anywhere_are_aligned(package: Path) -> None:
    """Inside a .pte the file may start at any byte."""
    files = _files(package)
    shifted = memoryview(b"\0" + files[WEIGHTS])[1:]
    weight = _linear_weight(load_package(_directory({**files, WEIGHTS: shifted}))).unpack()  # type: ignore[dict-item]
    np.testing.assert_array_equal(weight, W)
    assert weight.flags.aligned


def test_missing_files_are_named(package: Path) -> None:
    for path in ("Manifest.json", MODEL, WEIGHTS):
        files = _files(package)
        del files[path]
        with pytest.raises(PackageError, match=Path(path).name):
            load_package(_directory(files))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("rootModelIdentifier"), "where the model is"),
        (lambda m: m.update(rootModelIdentifier="?"), "where the model is"),
        (lambda m: m.update(itemInfoEntries=[]), "where the model is"),
        (lambda m: next(iter(m["itemInfoEntries"].values())).update(path="../x"), None),
    ],
)
def test_a_manifest_that_lies_is_refused(package: Path, change: Any, words: str | None) -> None:
    files = _files(package)
    manifest = json.loads(files["Manifest.json"])
    root = manifest["rootModelIdentifier"]
    manifest["itemInfoEntries"] = {root: manifest["itemInfoEntries"][root]}
    change(manifest)
    files["Manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(PackageError, match=words or "outside the package"):
        load_package(_directory(files))


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"\xff"])
def test_a_manifest_that_is_no_object_is_refused(package: Path, manifest: bytes) -> None:
    with pytest.raises(PackageError, match=r"Manifest\.json"):
        load_package(_directory({**_files(package), "Manifest.json": manifest}))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("neuralNetwork", "a neural network"),
        ("supportVectorClassifier", "a support vector machine"),
        ("treeEnsembleClassifier", "a tree ensemble classifier"),
        ("scaler", "scaler"),
        (None, "no model at all"),
    ],
)
def test_another_kind_of_model_is_named(package: Path, kind: str | None, words: str) -> None:
    model = module("Model_pb2").Model(specificationVersion=1)
    if kind:
        getattr(model, kind).SetInParent()
    with pytest.raises(ModelTypeError, match=words):
        load_package(_directory({**_files(package), MODEL: model.SerializeToString()}))


def test_bytes_that_are_no_model_are_refused(package: Path) -> None:
    with pytest.raises(PackageError, match="specification"):
        load_package(_directory({**_files(package), MODEL: b"\xff" * 50}))


def _edit(package: Path, edit: Any) -> Directory:
    files = _files(package)
    model = module("Model_pb2").Model()
    model.ParseFromString(files[MODEL])
    edit(model)
    return _directory({**files, MODEL: model.SerializeToString()})


def _block(model: Any) -> Any:
    return model.mlProgram.functions["main"].block_specializations["CoreML6"]


def _blob_value(model: Any) -> Any:
    (value,) = (
        op.attributes["val"]
        for op in _block(model).operations
        if op.type == "const" and op.attributes["val"].HasField("blobFileValue")
    )
    return value


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda m: setattr(_blob_value(m).blobFileValue, "offset", 10**9), "out of bounds"),
        (lambda m: setattr(_blob_value(m).blobFileValue, "offset", 1), "no record starts"),
        (lambda m: setattr(_blob_value(m).type.tensorType, "dataType", 10), "wrong dtype"),
        (
            lambda m: setattr(_blob_value(m).type.tensorType.dimensions[0].constant, "size", 7),
            "wrong size",
        ),
    ],
)
def test_weights_that_do_not_match_the_program(package: Path, edit: Any, words: str) -> None:
    with pytest.raises(WeightError, match=words):
        load_package(_edit(package, edit))


def test_a_weight_file_outside_the_package_is_refused(package: Path) -> None:
    for name in ("/etc/passwd", "@model_path/../../../secret"):
        with pytest.raises(PackageError, match=r"passwd|secret"):
            load_package(
                _edit(
                    package,
                    lambda m, name=name: setattr(_blob_value(m).blobFileValue, "fileName", name),
                )
            )


def _rename_use(model: Any) -> None:
    _block(model).operations[-1].inputs["x"].arguments[0].name = "nobody"


def _define_twice(model: Any) -> None:
    _block(model).operations[-1].outputs[0].name = "x"


def _drop_opset(model: Any) -> None:
    model.mlProgram.functions["main"].opset = "CoreML99"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_rename_use, "nobody"),
        (_define_twice, "second time"),
        (_drop_opset, "CoreML99"),
        (lambda m: _block(m).outputs.append("ghost"), "ghost"),
        (lambda m: setattr(m.description, "defaultFunctionName", "other"), "other"),
        (lambda m: m.mlProgram.functions.clear(), "default function"),
        (
            lambda m: _block(m).operations[0].attributes["val"].type.Clear(),
            "type is missing",
        ),
    ],
)
def test_programs_that_break_a_rule(package: Path, edit: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_package(_edit(package, edit))


def test_fp16_inputs_are_described(tmp_path: Path) -> None:
    source = mil_function(
        {"x": np.zeros((1, 4), np.float16)}, lambda x: mil_builder().relu(x=x), "iOS16"
    )
    save_converted(source, tmp_path / "m.mlpackage", target="iOS16")
    program = load_package(Directory.from_path(tmp_path / "m.mlpackage"))
    assert program.signatures["main"].inputs[0].dtype == FP16
    assert program.functions["main"].inputs[0].type == TensorType(FP16, (1, 4))
