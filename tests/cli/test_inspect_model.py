"""``etcoreml inspect`` on Core ML's own files. Oracle: how the models were made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import mlmodels
from tests.cli.conftest import Cli
from tests.runtime.processes import run_python


def test_json(cli: Cli, linear_package: Path) -> None:
    outcome = cli("inspect", linear_package, "--json")
    assert outcome.code == 0
    document = json.loads(outcome.stdout)
    assert document["model"] == str(linear_package)
    assert document["type"] == "mlProgram"
    assert document["specification_version"] == 8
    files = [each for each in linear_package.rglob("*") if each.is_file()]
    assert document["nbytes"] == sum(each.stat().st_size for each in files)
    metadata = document["metadata"]
    assert (metadata["author"], metadata["license"]) == ("Ada", "BSD")
    assert metadata["user_defined"]["colour"] == "blue"
    (function,) = document["functions"]
    assert (function["name"], function["opset"]) == ("main", "CoreML7")
    assert function["inputs"] == [
        {
            "name": "x",
            "kind": "multiArray",
            "dtype": "fp32",
            "shape": [2, 24],
            "description": "What goes in.",
            "text": "fp32 (2, 24)",
        }
    ]
    assert function["mil_ops"] == {"linear": 1, "mul": 1}
    assert function["mil_ops_not_here"] == []
    weights = {"dtype": "fp32", "tensors": 2, "elements": 800, "nbytes": 3200}
    assert document["weights"] == [weights]


def test_text(cli: Cli, linear_package: Path) -> None:
    outcome = cli("inspect", linear_package)
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert lines[0].startswith(f"{linear_package}: an ML Program, ")
    for line in (
        "description A linear layer.",
        "author Ada",
        "colour blue",
        "input x fp32 (2, 24) What goes in.",
        "output y fp32 (2, 32)",
        "2 MIL operations of main, opset CoreML7",
        "linear 1 yes",
        "fp32 2 800 3.2 kB",
    ):
        assert line in lines, outcome.stdout


def test_fp16_weights_are_counted_as_stored(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.linear(tmp_path / "half.mlpackage", precision="FLOAT16")
    document = json.loads(cli("inspect", package, "--json").stdout)
    (weights,) = document["weights"]
    assert (weights["dtype"], weights["nbytes"]) == ("fp16", 1600)


def test_ops_that_do_not_run_here(
    cli: Cli, linear_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etcoreml.engine.registry import TRANSLATORS

    monkeypatch.delitem(TRANSLATORS, "linear")
    (function,) = json.loads(cli("inspect", linear_package, "--json").stdout)["functions"]
    assert function["mil_ops_not_here"] == ["linear"]
    rows = [line.split() for line in cli("inspect", linear_package).stdout.splitlines()]
    assert ["linear", "1", "no"] in rows
    assert ["mul", "1", "yes"] in rows


def test_functions_share_weights(cli: Cli, two_functions_package: Path) -> None:
    document = json.loads(cli("inspect", two_functions_package, "--json").stdout)
    assert [each["name"] for each in document["functions"]] == ["one", "two"]
    assert document["default_function"] == "two"
    text = cli("inspect", two_functions_package).stdout
    assert "Function two (the default)" in text
    assert "fp32 (2, 3), 0.5 if left out" in text


def test_states_and_shapes(cli: Cli, counter_package: Path, tmp_path: Path) -> None:
    (function,) = json.loads(cli("inspect", counter_package, "--json").stdout)["functions"]
    (state,) = function["states"]
    assert (state["name"], state["dtype"], state["shape"]) == ("total", "fp16", [2, 3])
    package = mlmodels.flexible_total(tmp_path / "flexible.mlpackage")
    (function,) = json.loads(cli("inspect", package, "--json").stdout)["functions"]
    x, y = function["inputs"]
    assert x["ranges"] == [[2, 6], [1, 1]]
    assert sorted(y["shapes"]) == [[1, 2], [1, 3], [1, 5]]
    assert "fp32 (2 to 6, 1)" in cli("inspect", package).stdout


def test_images_and_labels(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.picture(tmp_path / "picture.mlpackage", "BGR")
    (function,) = json.loads(cli("inspect", package, "--json").stdout)["functions"]
    (image,) = function["inputs"]
    assert (image["color_space"], image["width"], image["height"]) == ("BGR", 4, 5)
    assert "BGR image 4 x 5" in cli("inspect", package).stdout
    package = mlmodels.classifier(tmp_path / "classifier.mlpackage", list(range(3)))
    assert "labels: 0, 1, 2" in cli("inspect", package).stdout


def test_pipelines(cli: Cli, tmp_path: Path) -> None:
    package = mlmodels.detector(tmp_path / "detector.mlpackage")
    document = json.loads(cli("inspect", package, "--json").stdout)
    assert document["type"] == "pipeline"
    assert [each["name"] for each in document["inputs"]] == ["x", "iou"]
    boxes, suppression = document["stages"]
    assert boxes["functions"][0]["mil_ops"]["slice_by_index"] == 2
    assert suppression["iou_threshold"] == 0.5
    assert suppression["labels"] == ["cat", "dog"]
    text = cli("inspect", package).stdout
    assert "Stage 1, suppression: non-maximum suppression" in text
    assert "double, optional" in text


def test_what_is_no_model(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.mlmodel"
    path.write_bytes(b"\xff" * 20)
    outcome = cli("inspect", path)
    assert outcome.code == 1
    assert f"'{path}'" in outcome.stderr
    assert outcome.stdout == ""
    path.unlink()
    path.mkdir()
    assert "it is a directory" in cli("inspect", path).stderr


def test_nothing_heavy_is_imported(linear_package: Path) -> None:
    outcome = run_python(
        """
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "inspect", sys.argv[1], "--json"]
        try:
            main()
        finally:
            print(sorted({"torch", "coremltools", "executorch.exir"} & set(sys.modules)))
        """,
        linear_package,
    )
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[-1] == "[]"
    assert [line.split("  ")[0] for line in outcome.stderr.splitlines()] == [
        "Reading linear.mlpackage"
    ]
