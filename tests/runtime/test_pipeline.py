"""Pipelines: an ML Program, then non-maximum suppression. Oracle: the stages one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etcoreml import MLModel
from etcoreml.errors import (
    DtypeError,
    FeatureNameError,
    OptionError,
    ShapeError,
    StateError,
)
from etcoreml.mil.ct import coremltools
from etcoreml.runtime.suppression import suppress
from tests import mlmodels

# Two scores, then centre x, centre y, width, height.
X = np.float32(
    [
        [0.2, 1.6, 5, 5, 4, 4],
        [1.9, 0.1, 20, 20, 2, 2],
        [0.3, 1.2, 5.5, 5, 4, 4],
        [0.1, 0.2, 40, 40, 1, 1],
        [1.0, 0.2, 6, 6, 4, 4],
        [0.9, 0.8, 60, 60, 9, 9],
    ]
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mlmodels.detector(tmp_path_factory.mktemp("detector") / "detector.mlpackage")


@pytest.fixture(scope="module")
def model(package: Path) -> MLModel:
    return MLModel(package)


@pytest.mark.parametrize("iou", [None, 0.1, 1.0])
def test_stages_are_wired_by_name(model: MLModel, iou: float | None) -> None:
    found = model.predict({"x": X} if iou is None else {"x": X, "iou": iou})
    scores, places = X[:, :2] / 2, X[:, 2:]
    kept = suppress(
        scores,
        places,
        iou_threshold=0.5 if iou is None else iou,
        confidence_threshold=0.2,
        per_class=False,
    )
    assert list(found) == ["kept", "where"]
    np.testing.assert_array_equal(found["kept"], scores[kept])
    np.testing.assert_array_equal(found["where"], places[kept])
    assert len(kept) == {None: 4, 0.1: 3, 1.0: 5}[iou]


def test_a_fixed_number_of_rows(tmp_path: Path) -> None:
    model = MLModel(mlmodels.detector(tmp_path / "detector.mlpackage", least=5))
    found = model.predict({"x": X})
    assert found["kept"].shape == (5, 2)
    assert found["where"].shape == (5, 4)
    assert not found["kept"][4].any()


def test_it_describes_itself(model: MLModel) -> None:
    assert model.type == "pipeline"
    assert list(model.input_description) == ["x", "iou"]
    assert list(model.output_description) == ["kept", "where"]
    assert model.devices == ("CPU",)
    assert model.function_name is None
    assert "output  kept" in repr(model)


def test_lists_and_futures(model: MLModel) -> None:
    expected = model.predict({"x": X})["kept"]
    for found in (*model.predict([{"x": X}] * 4), model.predict_async({"x": X}).result(30)):
        np.testing.assert_array_equal(found["kept"], expected)


def test_refusals_name_the_stage(model: MLModel) -> None:
    with pytest.raises(ShapeError, match=r"pipeline stage 'boxes': input 'x'; found shape \(2, 6"):
        model.predict({"x": X[:2]})
    with pytest.raises(FeatureNameError, match="no input 'scores'"):
        model.predict({"x": X, "scores": X})
    with pytest.raises(FeatureNameError, match="'x' is missing"):
        model.predict({"iou": 0.5})
    with pytest.raises(StateError, match="a pipeline has no states"):
        model.make_state()
    with pytest.raises(OptionError, match="a pipeline cannot be bound"):
        model.bind({"x": X})
    with pytest.raises((DtypeError, TypeError), match="stage 'boxes'"):
        model.predict({"x": "boxes"})


def test_it_is_saved_and_opened_again(model: MLModel, tmp_path: Path) -> None:
    model.author = "Ada"
    model.save(tmp_path / "again")
    again = MLModel(tmp_path / "again.mlpackage")
    assert again.author == "Ada"
    np.testing.assert_array_equal(again.predict({"x": X})["kept"], model.predict({"x": X})["kept"])
    theirs = coremltools().models.MLModel(str(tmp_path / "again.mlpackage"))
    assert theirs.get_spec() == model.get_spec()
