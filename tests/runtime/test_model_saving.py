"""Saving whole or not at all. Oracle: coremltools opens what was saved."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml import MLModel
from etcoreml.errors import FeatureTypeError, OptionError, UsageError
from etcoreml.mil.ct import coremltools
from etcoreml.runtime.model_files import spec_path
from tests.cases import normal


@pytest.fixture
def model(linear_package: Path) -> MLModel:
    return MLModel(linear_package, skip_model_load=True)


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_the_saved_package_is_complete(
    model: MLModel, linear_package: Path, tmp_path: Path
) -> None:
    model.save(tmp_path / "saved")
    saved = tmp_path / "saved.mlpackage"
    assert tree(saved) == tree(linear_package)
    assert [each.name for each in tmp_path.iterdir()] == ["saved.mlpackage"]
    theirs = coremltools().models.MLModel(str(saved))
    assert theirs.get_spec() == model.get_spec()
    x = {"x": normal(2, 24)}
    np.testing.assert_array_equal(
        MLModel(saved).predict(x)["y"], MLModel(linear_package).predict(x)["y"]
    )


def test_files_are_as_readable_as_any(model: MLModel, tmp_path: Path) -> None:
    temporary = MLModel(model.get_spec(), weights_dir=model.weights_dir, skip_model_load=True)
    temporary.save(tmp_path / "saved.mlpackage")
    beside = tmp_path / "beside"
    beside.mkdir()
    assert (tmp_path / "saved.mlpackage").stat().st_mode == beside.stat().st_mode


def test_what_is_there_is_replaced(model: MLModel, tmp_path: Path) -> None:
    target = tmp_path / "saved.mlpackage"
    target.mkdir()
    (target / "old").write_text("old")
    model.save(target)
    assert not (target / "old").exists()
    target_file = tmp_path / "file.mlpackage"
    target_file.write_text("old")
    model.save(target_file)
    assert target_file.is_dir()


def test_a_model_can_be_saved_over_itself(model: MLModel, tmp_path: Path) -> None:
    model.save(tmp_path / "saved.mlpackage")
    again = MLModel(tmp_path / "saved.mlpackage")
    again.author = "New"
    again.save(tmp_path / "saved.mlpackage")
    assert MLModel(tmp_path / "saved.mlpackage").author == "New"
    again.predict({"x": normal(2, 24)})  # what was mapped is still there


def test_a_failure_leaves_what_was_there(
    model: MLModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "saved.mlpackage"
    target.mkdir()
    (target / "old").write_text("old")

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", fail)
    with pytest.raises(UsageError, match=r"cannot write.*No space left"):
        model.save(target)
    assert tree(target) == {"old"}
    assert [each.name for each in tmp_path.iterdir()] == ["saved.mlpackage"]


def test_paths_that_cannot_be_written(model: MLModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        model.save(tmp_path / "no" / "folder.mlpackage")
    with pytest.raises(OptionError, match=r"found \.mlmodel; expected \.mlpackage"):
        model.save(tmp_path / "model.mlmodel")
    with pytest.raises(FeatureTypeError, match="no path; found int"):
        model.save(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is empty"):
        model.save("")


def test_a_model_in_one_file(linear_package: Path, tmp_path: Path) -> None:
    """A specification alone: enough to describe a model."""
    spec = MLModel(linear_package, skip_model_load=True).get_spec()
    (tmp_path / "model.mlmodel").write_bytes(spec.SerializeToString())
    model = MLModel(tmp_path / "model.mlmodel", skip_model_load=True)
    assert model.package_path is model.weights_dir is None
    model.author = "New"
    model.save(tmp_path / "again.mlmodel")
    assert MLModel(tmp_path / "again.mlmodel", skip_model_load=True).author == "New"
    with pytest.raises(OptionError, match="cannot be saved as a package"):
        model.save(tmp_path / "again.mlpackage")


def test_weights_do_not_pass_through_memory(model: MLModel, tmp_path: Path) -> None:
    model.save(tmp_path / "large.mlpackage")
    large = MLModel(tmp_path / "large.mlpackage", skip_model_load=True)
    with (Path(str(large.weights_dir)) / "weight.bin").open("r+b") as file:
        file.truncate(1 << 28)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    large.save(tmp_path / "copy.mlpackage")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16  # KiB
    copied = spec_path(tmp_path / "copy.mlpackage").parent / "weights" / "weight.bin"
    assert copied.stat().st_size == 1 << 28
