"""``etcoreml wrap``. Oracles: the model it was given, and ``etcoreml run``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests import mlmodels
from tests.cli.conftest import Cli


def test_a_wrapped_model_runs_as_the_model_does(
    cli: Cli, linear_package: Path, tmp_path: Path
) -> None:
    pte, x = tmp_path / "linear.pte", tmp_path / "x.npy"
    np.save(x, np.random.default_rng(0).standard_normal((2, 24)).astype(np.float32))
    outcome = cli("wrap", linear_package, "-o", pte)
    assert outcome.code == 0, outcome.stderr
    assert "Method forward, function main" in outcome.stdout
    outputs = [tmp_path / "ours.npz", tmp_path / "theirs.npz"]
    assert cli("run", pte, "--input", x, "--output", outputs[0]).code == 0
    assert cli("run", linear_package, "--input", x, "--output", outputs[1]).code == 0
    ours, theirs = (np.load(path) for path in outputs)
    np.testing.assert_array_equal(ours["output_0"], theirs["y"])
    np.testing.assert_array_equal(ours["output_1"], theirs["z"])


def test_json(cli: Cli, counter_package: Path, tmp_path: Path) -> None:
    pte = tmp_path / "counter.pte"
    document = json.loads(cli("wrap", counter_package, "-o", pte, "--json").stdout)
    assert document["nbytes"] == pte.stat().st_size
    (method,) = document["methods"]
    tensor = {"shape": [2, 3], "dtype": "float16", "dynamic": False}
    assert method["inputs"] == [{"name": "x", **tensor}]
    assert method["outputs"] == [{"name": "sum", **tensor}]
    assert method["states"] == ["total"]
    assert method["mil_ops_not_here"] == []


def test_largest_shapes(cli: Cli, tmp_path: Path) -> None:
    package, pte = mlmodels.flexible_total(tmp_path / "flexible.mlpackage"), tmp_path / "f.pte"
    outcome = cli("wrap", package, "-o", pte, "--max-shape", "x=4,1", "--json")
    assert outcome.code == 0, outcome.stderr
    (method,) = json.loads(outcome.stdout)["methods"]
    assert [each["shape"] for each in method["inputs"]] == [[4, 1], [1, 5]]
    assert [each["shape"] for each in method["outputs"]] == [[4, 5]]
    for value, message in (
        ("x", "does not say a shape"),
        ("x=", "does not say a shape"),
        ("x=0,1", "does not say a shape"),
        ("x=a,1", "does not say a shape"),
        ("z=4,1", "no input 'z'"),
        ("x=7,1", "cannot have the shape (7, 1)"),
    ):
        outcome = cli("wrap", package, "-o", tmp_path / "other.pte", "--max-shape", value)
        assert outcome.code == 2
        assert message in outcome.stderr
    twice = ("--max-shape", "x=4,1", "--max-shape", "x=5,1")
    assert "given twice for 'x'" in cli("wrap", package, "-o", pte, *twice).stderr
    assert not (tmp_path / "other.pte").exists()


def test_what_cannot_be(cli: Cli, linear_package: Path, net_path: Path, tmp_path: Path) -> None:
    picture = mlmodels.picture(tmp_path / "picture.mlpackage", "RGB")
    cut = tmp_path / "cut.mlpackage"
    cut.mkdir()
    (cut / "Manifest.json").write_text("{")
    out = tmp_path / "out.pte"
    for model, target, code, message in (
        ("absent.mlpackage", out, 2, "there is no folder 'absent.mlpackage'"),
        (net_path, out, 2, "expected a .mlpackage or .mlmodelc"),
        ("model.mlmodel", out, 2, "becomes a .mlpackage"),
        (linear_package, tmp_path / "out.bin", 2, "expected a .pte"),
        (linear_package, tmp_path / "a" / "out.pte", 2, "there is no directory"),
        (cut, out, 1, f"'{cut}': "),
        (picture, out, 1, "takes a picture as nothing else"),
    ):
        outcome = cli("wrap", model, "-o", target)
        assert outcome.code == code, (model, outcome.stderr)
        assert message in outcome.stderr
        assert not target.exists()
