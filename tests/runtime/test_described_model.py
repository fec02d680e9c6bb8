"""The half of ``MLModel`` that describes. Oracle: coremltools, which opens the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etcoreml import MLModel
from etcoreml.errors import FeatureTypeError, ModelError, UsageError
from etcoreml.mil.ct import coremltools


def theirs(path: Path) -> Any:
    return coremltools().models.MLModel(str(path), skip_model_load=True)


@pytest.fixture
def model(linear_package: Path) -> MLModel:
    return MLModel(linear_package, skip_model_load=True)


ATTRIBUTES = ("short_description", "author", "license", "version")


def test_everything_reads_as_in_coremltools(model: MLModel, linear_package: Path) -> None:
    other = theirs(linear_package)
    for name in (*ATTRIBUTES, "package_path", "weights_dir", "is_package", "is_temp_package"):
        assert getattr(model, name) == getattr(other, name), name
    assert model.author == "Ada"
    assert dict(model.user_defined_metadata) == dict(other.user_defined_metadata)
    for name in ("input_description", "output_description"):
        ours = getattr(model, name)
        assert {key: ours[key] for key in ours} == {
            key: getattr(other, name)[key] for key in getattr(other, name)
        }
    assert model.get_spec() == other.get_spec()
    assert model.type == "mlProgram"


def test_the_specification_is_a_copy_that_coremltools_takes(model: MLModel) -> None:
    spec = model.get_spec()
    spec.description.metadata.author = "Eve"
    assert model.author == "Ada"
    assert isinstance(spec, coremltools().proto.Model_pb2.Model)


def test_changes_are_saved(model: MLModel, tmp_path: Path) -> None:
    for name in ATTRIBUTES:
        setattr(model, name, f"new {name}")
    model.user_defined_metadata["shape"] = "round"
    model.input_description["x"] = "New input."
    model.output_description["z"] = "New output."
    model.save(str(tmp_path / "saved.mlpackage"))
    for saved in (theirs(tmp_path / "saved.mlpackage"), MLModel(tmp_path / "saved.mlpackage")):
        for name in ATTRIBUTES:
            assert getattr(saved, name) == f"new {name}"
        assert saved.user_defined_metadata["shape"] == "round"
        assert saved.user_defined_metadata["colour"] == "blue"
        assert saved.input_description["x"] == "New input."
        assert saved.output_description["z"] == "New output."


def test_it_shows_its_interface(
    model: MLModel, linear_package: Path, counter_package: Path
) -> None:
    assert repr(MLModel(linear_package)).splitlines() == [
        "MLModel('linear.mlpackage')",
        "  input   x  fp32 (2, 24)",
        "  output  y  fp32 (2, 32)",
        "  output  z  fp32 (2, 32)",
    ]
    assert repr(model).splitlines()[1] == "  input   x"  # not loaded: the names alone
    assert "  state   total  fp16 (2, 3)" in str(MLModel(counter_package))


def test_there_is_no_compiled_model_on_disk(model: MLModel) -> None:
    with pytest.raises(ModelError, match=r"(?s)compiled in memory.*coremlcompiler"):
        model.get_compiled_model_path()


def test_files_that_are_gone_are_not_saved(linear_package: Path, tmp_path: Path) -> None:
    spec = MLModel(linear_package).get_spec()
    model = MLModel(spec, weights_dir=MLModel(linear_package).weights_dir)
    assert model.author == "Ada"
    model.close()
    with pytest.raises(UsageError, match="files are gone"):
        model.save(tmp_path / "late.mlpackage")


@pytest.mark.parametrize("text", [None, 3, b"1.0"])
def test_what_is_no_text_describes_nothing(model: MLModel, text: Any) -> None:
    for name in ATTRIBUTES:
        before = getattr(model, name)
        with pytest.raises(
            FeatureTypeError, match=f"the {name.replace('_', ' ')} is no text; found"
        ):
            setattr(model, name, text)
        assert getattr(model, name) == before
    with pytest.raises(FeatureTypeError, match="the description of 'x' is no text"):
        model.input_description["x"] = text
