"""``etcoreml run`` on Core ML's own files. Oracle: ``etcoreml.MLModel`` on inputs read by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from etcoreml import MLModel
from etcoreml.blob import Directory
from etcoreml.mil import MilProgram, open_model
from tests import mlmodels
from tests.cases import normal
from tests.cli.conftest import Cli
from tests.mil.printed import compiled_files


def written(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


@pytest.fixture
def x(tmp_path: Path) -> Any:
    value = normal(2, 24)
    np.save(tmp_path / "x.npy", value)
    return value


def test_files_by_name_and_in_order(cli: Cli, linear_package: Path, tmp_path: Path, x: Any) -> None:
    expected = MLModel(linear_package).predict({"x": x})
    for given in (f"x={tmp_path / 'x.npy'}", tmp_path / "x.npy"):
        outcome = cli("run", linear_package, "--input", given, "--output", tmp_path / "out.npz")
        assert outcome.code == 0, outcome.stderr
        found = written(tmp_path / "out.npz")
        assert set(found) == {"y", "z"}
        np.testing.assert_array_equal(found["y"], expected["y"])
        assert f"predict() of {linear_package} on {given}" in outcome.stdout
        assert "not run on Core ML" in outcome.stdout


def test_json(cli: Cli, linear_package: Path, x: Any, tmp_path: Path) -> None:
    outcome = cli("run", linear_package, "--input", tmp_path / "x.npy", "--json", "--iterations", 3)
    document = json.loads(outcome.stdout)
    assert document["program"] == str(linear_package)
    assert document["devices"][-1] == "CPU"
    assert document["numerics"] == "fast"
    assert document["function"] == "main"
    assert document["load_ms"] > 0
    assert document["iterations"] == 3
    y = MLModel(linear_package).predict({"x": x})["y"]
    assert document["outputs"][0] == {
        "name": "y",
        "shape": [2, 32],
        "dtype": "float32",
        "min": float(y.min()),
        "max": float(y.max()),
        "mean": pytest.approx(float(y.mean())),
        "argmax": int(y.argmax()),
    }


def test_random_inputs_follow_the_seed(cli: Cli, sum_package: Path, tmp_path: Path) -> None:
    """The optional input keeps its default."""
    results = []
    for seed in (0, 0, 1):
        cli("run", sum_package, "--seed", seed, "--output", tmp_path / "out.npz")
        results.append(written(tmp_path / "out.npz")["sum"])
    drawn = np.random.default_rng(1).integers(0, 2, (2, 3))
    np.testing.assert_array_equal(results[2], drawn + 1)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_functions(cli: Cli, two_functions_package: Path) -> None:
    outcome = cli("run", two_functions_package, "--function", "one", "--json")
    document = json.loads(outcome.stdout)
    assert document["function"] == "one"
    assert [each["name"] for each in document["outputs"]] == ["y", "z"]
    assert "two() of" in cli("run", two_functions_package).stdout
    outcome = cli("run", two_functions_package, "--function", "three")
    assert outcome.code == 2
    assert "no function 'three'; expected one of one, two" in outcome.stderr


def test_options_reach_the_model(
    cli: Cli, linear_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    init = MLModel.__init__

    def spy(self: MLModel, *arguments: Any, **options: Any) -> None:
        seen.update(options)
        init(self, *arguments, **options)

    monkeypatch.setattr(MLModel, "__init__", spy)
    options = ("--numerics", "faithful", "--threads", 1, "--compute-unit", "cpu_only")
    outcome = cli("run", linear_package, *options)
    assert outcome.code == 0
    assert (seen["numerics"], seen["threads"], seen["compute_units"]) == ("faithful", 1, "cpu_only")
    assert "faithful numerics" in outcome.stdout


@pytest.mark.parametrize("steps", [None, 1, 3])
def test_states(cli: Cli, counter_package: Path, tmp_path: Path, steps: int | None) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    arguments = ("--input", tmp_path / "x.npy", "--output", tmp_path / "out.npz")
    outcome = cli("run", counter_package, *arguments, *(("--steps", steps) if steps else ()))
    assert outcome.code == 0, outcome.stderr
    assert (written(tmp_path / "out.npz")["sum"] == (steps or 1)).all()


def test_steps_need_states(cli: Cli, linear_package: Path) -> None:
    outcome = cli("run", linear_package, "--steps", 2)
    assert outcome.code == 2
    assert "--steps is for models with states" in outcome.stderr


def test_pictures(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.picture(tmp_path / "picture.mlpackage", "RGB")
    pixels = np.random.default_rng(0).integers(0, 255, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    arguments = ("run", package, "--output", tmp_path / "out.npz", "--input")
    outcome = cli(*arguments, tmp_path / "x.png")
    assert outcome.code == 0, outcome.stderr
    assert "out      RGBA image, 4 x 5 pixels" in outcome.stdout
    np.testing.assert_array_equal(written(tmp_path / "out.npz")["out"][:, :, :3], pixels + 1)
    Image.new("RGBA", (40, 50), (10, 20, 30, 0)).save(tmp_path / "large.png")
    outcome = cli(*arguments, f"image={tmp_path / 'large.png'}")
    assert "is resized from 40 x 50 to 4 x 5 pixels" in outcome.stderr
    assert (written(tmp_path / "out.npz")["out"] == [11, 21, 31, 255]).all()
    assert cli("run", package).code == 0  # random pixels
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    outcome = cli(*arguments, tmp_path / "bad.png")
    assert outcome.code == 2
    assert f"cannot read '{tmp_path / 'bad.png'}'" in outcome.stderr


def test_classifiers(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.classifier(tmp_path / "classifier.mlpackage", ["cat", "dog", "eel"])
    np.save(tmp_path / "x.npy", np.float32([[0, 2, 1]]))
    arguments = ("run", package, "--input", tmp_path / "x.npy")
    outcome = cli(*arguments, "--output", tmp_path / "out.npz")
    assert "classLabel        dog" in outcome.stdout
    assert "classLabel_probs  dog 0.6652, eel 0.2447, cat 0.09003" in outcome.stdout
    found = written(tmp_path / "out.npz")
    assert found["classLabel_probs.labels"].tolist() == ["cat", "dog", "eel"]
    assert found["classLabel"] == "dog"
    np.testing.assert_allclose(found["classLabel_probs"].sum(), 1, rtol=1e-6)
    label, probabilities = json.loads(cli(*arguments, "--json").stdout)["outputs"]
    assert label == {"name": "classLabel", "label": "dog"}
    assert probabilities["most_likely"][0]["label"] == "dog"


def test_pipelines(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.detector(tmp_path / "detector.mlpackage")
    document = json.loads(cli("run", package, "--json").stdout)
    assert [each["name"] for each in document["outputs"]] == ["kept", "where"]


def test_a_compiled_model(cli: Cli, linear_package: Path, tmp_path: Path, x: Any) -> None:
    program = open_model(linear_package)
    assert isinstance(program, MilProgram)
    compiled = tmp_path / "linear.mlmodelc"
    Directory.from_mapping("linear.mlmodelc", compiled_files(program)).extract(compiled)
    arguments = ("--input", tmp_path / "x.npy", "--output", tmp_path / "out.npz")
    outcome = cli("run", compiled, *arguments)
    assert outcome.code == 0, outcome.stderr
    expected = MLModel(linear_package).predict({"x": x})["y"]
    np.testing.assert_array_equal(written(tmp_path / "out.npz")["y"], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "w={x}"), "there is no input for '{x}'; found --input w={x}"),
        (("--input", "{x}", "--input", "{x}"), "there is no input for '{x}'"),
        (("--input", "x={x}", "--input", "x={x}"), "input 'x' is given twice"),
        (("--method", "forward"), "--method does not apply to"),
        (("--input", "x.csv"), "found .csv; expected .npy, .pt, .png or .jpg"),
    ],
)
def test_wrong_usage(
    cli: Cli,
    linear_package: Path,
    tmp_path: Path,
    x: Any,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    names = {"x": str(tmp_path / "x.npy")}
    outcome = cli("run", linear_package, *(each.format(**names) for each in arguments))
    assert outcome.code == 2
    assert message.format(**names) in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--steps", "2"), "--steps is for models with states"),
        (("--input", "{damaged}"), "cannot read '{damaged}'"),
        (("--input", "w={damaged}"), "there is no input for"),
    ],
)
def test_wrong_usage_is_found_before_the_model_is_compiled(
    cli: Cli,
    linear_package: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compiled(*_: Any, **__: Any) -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr("etcoreml.runtime.ml_model.compile_function", compiled)
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes(b"no array")
    outcome = cli("run", linear_package, *(each.format(damaged=damaged) for each in arguments))
    assert outcome.code == 2, outcome.stderr
    assert words.format(damaged=damaged) in outcome.stderr


def test_text_is_no_input(cli: Cli, linear_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    outcome = cli("run", linear_package, "--input", tmp_path / "text.npy")
    assert outcome.code == 2
    assert "input 'x' is no array of numbers; found an array of dtype <U1" in outcome.stderr


def test_inputs_that_are_missing(cli: Cli, sum_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.zeros((2, 3)))
    outcome = cli("run", sum_package, "--input", f"y={tmp_path / 'y.npy'}")
    assert outcome.code == 2
    assert "input 'x' is missing; found y; expected --input x=FILE" in outcome.stderr


def test_wrong_shapes_are_found_before_the_model_is_compiled(
    cli: Cli, linear_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(*_: Any, **__: Any) -> Any:
        pytest.fail("the model was compiled")

    monkeypatch.setattr("etcoreml.runtime.ml_model.MLModel.__init__", compiled)
    np.save(tmp_path / "x.npy", normal(2, 24, 1))
    outcome = cli("run", linear_package, "--input", tmp_path / "x.npy")
    assert outcome.code == 1
    assert "input 'x'; found shape (2, 24, 1); expected shape (2, 24)" in outcome.stderr


def test_wrong_shapes_and_missing_models(cli: Cli, linear_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", normal(3, 24))
    outcome = cli("run", linear_package, "--input", tmp_path / "x.npy")
    assert outcome.code == 1
    assert "input 'x'; found shape (3, 24); expected shape (2, 24)" in outcome.stderr
    outcome = cli("run", tmp_path / "none.mlpackage")
    assert outcome.code == 2
    assert "there is no file" in outcome.stderr
    (tmp_path / "empty.mlpackage").mkdir()
    outcome = cli("run", tmp_path / "empty.mlpackage")
    assert outcome.code == 1
    assert "Traceback" not in outcome.stderr
