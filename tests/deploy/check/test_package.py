"""Generated check packages. Oracles: tree-sitter, openstep-plist, trace/metrics.py and NumPy."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.deploy.app.model import AppModel, read_app_model
from etcoreml.deploy.app.templates import filled
from etcoreml.deploy.check.package import make_check, write_check
from etcoreml.deploy.check.reference import Reference
from etcoreml.errors import ProjectError, UsageError
from etcoreml.trace.metrics import distance
from tests.deploy.check.swift_arithmetic import run
from tests.deploy.parsers import problems, syntax_errors

PRODUCTS = ("DeviceCheck",)


def reference(model: AppModel, **changes: Any) -> Reference:
    generator = np.random.default_rng(0)
    inputs = [
        generator.standard_normal(each.tensor.shape).astype(each.tensor.dtype)
        for each in model.method.inputs
    ]
    outputs = [np.ones(each.tensor.shape, each.tensor.dtype) for each in model.method.outputs]
    return Reference(
        **{
            "model": model,
            "source": "model.pte",
            "executorch": "1.5.1",
            "inputs": inputs,
            "outputs": {"faithful": outputs, "fast": [each * 1.0 for each in outputs]},
            "min_snr_db": 30.0,
            "iterations": 50,
        }
        | changes
    )


@pytest.fixture(scope="module")
def written(picture_pte: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "check"
    write_check(make_check(reference(read_app_model(picture_pte))), folder)
    return folder


def test_every_source_parses(written: Path) -> None:
    sources = sorted(written.rglob("*.swift"))
    assert len(sources) == 10
    assert [error for path in sources for error in syntax_errors(path)] == []


def test_the_app_is_complete(written: Path) -> None:
    assert problems(written / "App", products=PRODUCTS) == []


def test_a_damaged_app_is_found(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "copy")
    (tmp_path / "copy/App/DeviceCheckApp/DeviceCheckApp.swift").unlink()
    assert any(
        "there is no file" in each for each in problems(tmp_path / "copy/App", products=PRODUCTS)
    )


def test_the_package_links_the_release(written: Path) -> None:
    text = (written / "Package.swift").read_text()
    assert 'branch: "swiftpm-1.5.0"' in text
    for product in ("executorch", "backend_coreml", "executorch_dump"):
        assert f'.product(name: "{product}", package: "executorch")' in text
    assert "kernels_optimized" not in text
    assert '.iOS("17.0"), .macOS("14.0")' in text
    assert '"-Xlinker", "-all_load"' in text


def test_tensors_are_raw_numbers_with_an_index(written: Path, picture_pte: Path) -> None:
    folder = written / "Sources/DeviceCheck/Reference"
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["inputs"]
    stored = np.frombuffer((folder / entry["file"]).read_bytes(), entry["dtype"])
    expected = reference(read_app_model(picture_pte)).inputs[0]
    assert np.array_equal(stored.reshape(entry["shape"]), expected)
    assert (folder / index["model"]["file"]).read_bytes() == picture_pte.read_bytes()
    assert {each["name"] for each in index["references"]} == {"faithful", "fast"}
    listed = {each["file"] for row in index["references"] for each in row["outputs"]}
    assert listed <= {path.name for path in folder.iterdir()}


def test_distances_between_references(picture_pte: Path) -> None:
    model = read_app_model(picture_pte)
    exact = [np.array([[1.0, 2.0, 3.0]], np.float32)]
    near = [np.array([[1.0, 2.0, 3.3]], np.float32)]
    found = reference(model, outputs={"faithful": near, "fast": exact, "eager": exact}).here()
    assert [(each["name"], each["reference"]) for each in found] == [
        ("faithful", "fast"),
        ("faithful", "eager"),
        ("fast", "eager"),
    ]
    assert found[0]["snr_db"] == pytest.approx(distance(near[0], exact[0]).snr_db)
    assert found[2]["snr_db"] == "inf"  # as Swift's decoder is told to read it


def test_same_bytes_twice(picture_pte: Path) -> None:
    model = read_app_model(picture_pte)
    assert make_check(reference(model)).files == make_check(reference(model)).files


def test_an_output_of_another_dtype(picture_pte: Path) -> None:
    model = read_app_model(picture_pte)
    with pytest.raises(ProjectError, match="not what the program declares"):
        make_check(reference(model, outputs={"fast": [np.ones((1, 3), np.int32)]}))


def test_nothing_is_overwritten(picture_pte: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_check(make_check(reference(read_app_model(picture_pte))), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


SWIFT = run(filled("check/Metrics.swift", {}))
RANDOM = np.random.default_rng(3)
VALUES = RANDOM.standard_normal(1000)
PAIRS = {
    "near": (VALUES + 1e-3 * RANDOM.standard_normal(1000), VALUES),
    "equal": (VALUES, VALUES),
    "far": (RANDOM.standard_normal(1000) * 100, VALUES),
    "zero expected": (np.ones(4), np.zeros(4)),
    "all zero": (np.zeros(4), np.zeros(4)),
    "overflow": (np.array([1.0, math.inf]), np.array([1.0, 70000.0])),
    "equal infinities": (np.array([1.0, math.inf]), np.array([1.0, math.inf])),
    "nan where nan is expected": (np.array([2.0, math.nan]), np.array([1.0, math.nan])),
    "nan where none is": (np.array([2.0, math.nan]), np.array([1.0, 1.0])),
    "empty": (np.zeros(0), np.zeros(0)),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_swift_measures_as_python_does(pair: str) -> None:
    actual, expected = PAIRS[pair]
    found = SWIFT["distance"](actual.tolist(), expected.tolist())
    oracle = distance(actual, expected)
    assert found.snr == pytest.approx(oracle.snr_db, nan_ok=True)
    assert found.maxAbs == pytest.approx(oracle.max_abs)
    assert found.notFinite == oracle.not_finite


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_swift_takes_quantiles_as_numpy_does(fraction: float, count: int) -> None:
    values = RANDOM.standard_normal(count).tolist()
    assert SWIFT["quantile"](values, fraction) == pytest.approx(np.quantile(values, fraction))
