"""Where a model's files are: paths, messages, coremltools' own objects."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml import MLModel
from etcoreml.errors import FeatureTypeError, ModelError, OptionError, PackageError
from etcoreml.mil.ct import coremltools
from etcoreml.runtime.model_files import ModelFiles, locate, spec_path, write_package
from tests.cases import normal
from tests.runtime.processes import run_python

X = {"x": normal(2, 24)}


@pytest.fixture(scope="module")
def expected(linear_package: Path) -> Any:
    return MLModel(linear_package).predict(X)["y"]


def test_a_path_in_every_form(
    linear_package: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(linear_package.parent))
    monkeypatch.setenv("FOLDER", str(linear_package.parent))
    monkeypatch.chdir(linear_package.parent)
    name = linear_package.name
    for path in (linear_package, str(linear_package), f"~/{name}", f"$FOLDER/{name}", name):
        model = MLModel(path)
        np.testing.assert_array_equal(model.predict(X)["y"], expected)
        assert model.package_path == str(linear_package)


def test_a_specification_with_its_weights(linear_package: Path, expected: Any) -> None:
    source = MLModel(linear_package, skip_model_load=True)
    weights = Path(str(source.weights_dir)) / "weight.bin"
    model = MLModel(source.get_spec(), weights_dir=source.weights_dir)
    np.testing.assert_array_equal(model.predict(X)["y"], expected)
    assert model.is_temp_package
    copy = Path(str(model.weights_dir)) / "weight.bin"
    assert copy.samefile(weights)  # a link: no second copy on the disk
    folder = Path(str(model.package_path))
    model.close()
    assert not folder.exists()
    assert weights.exists()


def test_a_specification_without_its_weights(linear_package: Path) -> None:
    spec = MLModel(linear_package, skip_model_load=True).get_spec()
    with pytest.raises(OptionError, match="needs its weights too; found weights_dir=None"):
        MLModel(spec)
    with pytest.raises(OptionError, match="weights_dir goes with a specification"):
        MLModel(linear_package, weights_dir=".")
    with pytest.raises(OptionError, match="is_temp_package"):
        MLModel(spec, is_temp_package=True, weights_dir=".")


def test_models_of_coremltools_and_our_own(linear_package: Path, expected: Any) -> None:
    theirs = coremltools().models.MLModel(str(linear_package), skip_model_load=True)
    theirs.author = "Changed"
    model = MLModel(theirs)
    assert model.author == "Changed"
    np.testing.assert_array_equal(model.predict(X)["y"], expected)
    again = MLModel(model)
    model.close()
    np.testing.assert_array_equal(again.predict(X)["y"], expected)


def test_temporary_packages_go(linear_package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mlpackage"
    shutil.copytree(linear_package, copy)
    model = MLModel(copy, is_temp_package=True)
    model.predict(X)
    assert copy.exists()
    del model
    gc.collect()
    assert not copy.exists()


def test_temporary_packages_go_with_the_interpreter(linear_package: Path) -> None:
    outcome = run_python(
        """
        import sys, etcoreml
        source = etcoreml.MLModel(sys.argv[1])
        model = etcoreml.MLModel(source.get_spec(), weights_dir=source.weights_dir)
        print(model.package_path)
        """,
        linear_package,
    )
    assert outcome.code == 0, outcome.stderr
    assert not Path(outcome.stdout.strip()).exists()


def test_a_package_that_was_written_is_coremltools_own(
    linear_package: Path, tmp_path: Path, expected: Any
) -> None:
    source = MLModel(linear_package, skip_model_load=True)
    package = tmp_path / "written.mlpackage"
    package.mkdir()
    write_package(package, source.get_spec(), Path(str(source.weights_dir)))
    theirs = coremltools().models.MLModel(str(package))
    assert theirs.get_spec() == source.get_spec()
    assert theirs.weights_dir == str(package / "Data/com.apple.CoreML/weights")
    np.testing.assert_array_equal(MLModel(package).predict(X)["y"], expected)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"itemInfoEntries": {}}', '{"itemInfoEntries": []}']
)
def test_broken_manifests(content: str, linear_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "broken.mlpackage"
    shutil.copytree(linear_package, package)
    (package / "Manifest.json").write_text(content)
    with pytest.raises(PackageError, match=r"Manifest\.json"):
        ModelFiles(package).read_spec()
    with pytest.raises(PackageError, match=r"Manifest\.json"):
        MLModel(package, skip_model_load=True)


def test_a_broken_specification(linear_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "broken.mlpackage"
    shutil.copytree(linear_package, package)
    spec_path(package).write_bytes(b"\xff" * 40)
    with pytest.raises(PackageError, match="cannot read the specification"):
        ModelFiles(package).read_spec()
    spec_path(package).unlink()
    with pytest.raises(PackageError, match="cannot read the specification"):
        ModelFiles(package).read_spec()


def test_paths_in_a_manifest_stay_inside(linear_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "hostile.mlpackage"
    shutil.copytree(linear_package, package)
    manifest = json.loads((package / "Manifest.json").read_text())
    for item in manifest["itemInfoEntries"].values():
        item["path"] = "../../outside"
    (package / "Manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PackageError, match="outside the package"):
        spec_path(package)
    with pytest.raises(PackageError, match="outside the package"):
        _ = ModelFiles(package).weights_dir


def test_nothing_and_something_else(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no model at this path"):
        locate(tmp_path / "none.mlpackage", None, False)
    with pytest.raises(FeatureTypeError, match="nothing that can be opened; found dict"):
        locate({}, None, False)
    for skip in (False, True):
        with pytest.raises(PackageError, match="the path of the model is empty"):
            MLModel("", skip_model_load=skip)
        with pytest.raises(PackageError, match="is no model; found nothing in it"):
            MLModel(tmp_path, skip_model_load=skip)


def test_a_file_of_the_very_name_comes_first(
    linear_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", "elsewhere")
    monkeypatch.chdir(tmp_path)
    for name in ("$FOLDER.mlpackage", "~.mlpackage"):
        shutil.copytree(linear_package, tmp_path / name)
        assert MLModel(name, skip_model_load=True).package_path == str(tmp_path / name)


def test_a_file_that_is_no_specification(tmp_path: Path) -> None:
    empty, array = tmp_path / "empty.mlmodel", tmp_path / "x.npy"
    empty.touch()
    np.save(array, np.zeros(3))
    for skip in (False, True):
        with pytest.raises(PackageError, match=r"empty\.mlmodel.* is an empty file"):
            MLModel(empty, skip_model_load=skip)
        with pytest.raises(PackageError, match=r"not a serialised Core ML.*begin with.*NUMPY"):
            MLModel(array, skip_model_load=skip)


def test_errors_name_the_file(linear_package: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(ModelError, match=r"model\.mlmodel': "):
        MLModel(path)
    path = tmp_path / "program.pte"
    path.write_bytes(b"")
    with pytest.raises(PackageError, match=r"(?s)an ExecuTorch program.*etcoreml\.load"):
        MLModel(path)


def test_a_compiled_model_has_no_specification(tmp_path: Path) -> None:
    (tmp_path / "model.mil").touch()
    files = ModelFiles(tmp_path)
    assert files.is_compiled
    assert files.weights_dir is None
    with pytest.raises(ModelError, match="no specification"):
        files.read_spec()


def test_missing_weights_are_told_with_what_is_there(linear_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "lost.mlpackage"
    shutil.copytree(linear_package, package)
    weights = spec_path(package).parent / "weights"
    (weights / "weight.bin").rename(weights / "other.bin")
    with pytest.raises(PackageError, match=r"weights/weight\.bin'; found \['other\.bin'\]"):
        MLModel(package)
    shutil.rmtree(weights)
    with pytest.raises(PackageError, match=r"weights/weight\.bin'; found no such folder"):
        MLModel(package)
