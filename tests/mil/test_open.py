"""One function opens every packaging. Oracle: the same program, packaged in each way."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.errors import ModelTypeError, PackageError
from etcoreml.mapped import MappedFile
from etcoreml.mil import MilProgram, Pipeline, load_model, load_package, open_model
from etcoreml.mil.proto import module
from tests.cases import mil_builder, mil_function, normal, save_converted
from tests.mil.printed import assert_same_functions, compiled_files

W = normal(256, 128, seed=1)
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = mil_function(
        {"x": np.zeros((3, 128), np.float32)},
        lambda x: mil_builder().linear(x=x, weight=W, name="y"),
        "iOS16",
    )
    return save_converted(source, tmp_path_factory.mktemp("open") / "m.mlpackage", target="iOS16")


def weight(program: MilProgram) -> Any:
    (found,) = (
        op.attributes["val"].unpack()
        for op in program.functions["main"].block.operations
        if op.type == "const" and op.outputs[0].type.shape == W.shape  # type: ignore[union-attr]
    )
    return found


def test_every_packaging_gives_the_same_program(package: Path, tmp_path: Path) -> None:
    program = open_model(package)
    assert isinstance(program, MilProgram)
    compiled = tmp_path / "m.mlmodelc"
    Directory.from_mapping("m.mlmodelc", compiled_files(program)).extract(compiled)
    single = tmp_path / "m.mlmodel"
    single.write_bytes((package / MODEL).read_bytes())
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "weight.bin").write_bytes((package / WEIGHTS).read_bytes())
    for path in (compiled, single, str(single)):
        found = open_model(path)
        assert isinstance(found, MilProgram)
        assert_same_functions(found.functions, program.functions)


def test_weights_stay_in_the_mapped_file(package: Path) -> None:
    program = open_model(package)
    gc.collect()
    assert isinstance(program, MilProgram)
    array: Any = weight(program)
    np.testing.assert_array_equal(array, W)
    while isinstance(array, np.ndarray):
        array = array.base
    assert isinstance(array, memoryview)
    assert isinstance(array.obj, MappedFile)


def test_a_file_without_its_weights(package: Path, tmp_path: Path) -> None:
    single = tmp_path / "m.mlmodel"
    single.write_bytes((package / MODEL).read_bytes())
    with pytest.raises(PackageError, match=r"no file 'weights/weight\.bin'"):
        open_model(single)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no model at this path"):
        open_model(tmp_path / "m.mlpackage")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(PackageError, match=r"is no model; found notes\.txt"):
        open_model(tmp_path)
    with pytest.raises(PackageError, match="not a serialised Core ML specification"):
        open_model(tmp_path / "notes.txt")
    with pytest.raises(PackageError, match="is no model; found nothing in it"):
        load_model(Directory("m", {}))


def test_a_pipeline_in_a_package(package: Path, tmp_path: Path) -> None:
    """The stage's weights are found beside the pipeline's specification."""
    inner = module("Model_pb2").Model.FromString((package / MODEL).read_bytes())
    outer = module("Model_pb2").Model(specificationVersion=7)
    outer.description.CopyFrom(inner.description)
    outer.pipeline.models.add().CopyFrom(inner)
    manifest = {
        "rootModelIdentifier": "id",
        "itemInfoEntries": {"id": {"path": "com.apple.CoreML/model.mlmodel"}},
    }
    files = {
        "Manifest.json": json.dumps(manifest).encode(),
        "Data": {
            "com.apple.CoreML": {
                "model.mlmodel": outer.SerializeToString(),
                "weights": {"weight.bin": (package / WEIGHTS).read_bytes()},
            }
        },
    }
    Directory.from_mapping("p", files).extract(tmp_path / "p.mlpackage")
    found = open_model(tmp_path / "p.mlpackage")
    assert isinstance(found, Pipeline)
    (stage,) = found.stages
    assert isinstance(stage.model, MilProgram)
    np.testing.assert_array_equal(weight(stage.model), W)
    with pytest.raises(ModelTypeError, match="found a pipeline of model0"):
        load_package(Directory.from_path(tmp_path / "p.mlpackage"))
