"""Non-maximum suppression. Oracles: the specification's own example, and the steps spelled out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.errors import FeatureNameError, ShapeError, StateError
from etcoreml.mil import Feature, NonMaximumSuppression, Signature
from etcoreml.runtime.suppression import SuppressionPredictor, suppress
from etcoreml.types import FP32


def overlap(a: Any, b: Any) -> float:
    """Area of the intersection by that of the union, one side at a time."""
    sides = []
    for axis in (0, 1):
        low = max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2)
        high = min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2)
        sides.append(max(high - low, 0.0))
    shared = sides[0] * sides[1]
    union = a[2] * a[3] + b[2] * b[3] - shared
    return float(shared / union) if union > 0 else 0.0


def by_the_book(confidence: Any, boxes: Any, iou: float, threshold: float, per_class: bool) -> Any:
    best = confidence.max(axis=1)
    labels = confidence.argmax(axis=1)
    kept: list[int] = []
    for i in sorted(range(len(best)), key=lambda i: -best[i]):
        rivals = [k for k in kept if not per_class or labels[k] == labels[i]]
        if best[i] >= threshold and all(overlap(boxes[i], boxes[k]) <= iou for k in rivals):
            kept.append(i)
    return kept


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_against_the_steps(per_class: bool, iou: float, threshold: float) -> None:
    generator = np.random.default_rng(5)
    confidence = generator.uniform(0, 1, (60, 3)).astype(np.float32)
    boxes = np.concatenate(
        (generator.uniform(0, 1, (60, 2)), generator.uniform(0.05, 0.5, (60, 2))), axis=1
    ).astype(np.float32)
    found = suppress(
        confidence,
        boxes,
        iou_threshold=iou,
        confidence_threshold=threshold,
        per_class=per_class,
    )
    assert found.tolist() == by_the_book(confidence, boxes, iou, threshold, per_class)


def test_the_example_of_the_specification() -> None:
    """Two boxes whose areas are counted in glyphs: 12 of 73."""
    # 9 x 5 glyphs and 8 x 5 glyphs, which share 4 x 3.
    boxes = np.float32([[4.5, 2.5, 9, 5], [9, 4.5, 8, 5]])
    assert overlap(*boxes) == pytest.approx(12 / 73)
    confidence = np.float32([[0.9], [0.8]])
    for iou, kept in ((0.16, [0]), (0.17, [0, 1])):
        found = suppress(
            confidence, boxes, iou_threshold=iou, confidence_threshold=0, per_class=False
        )
        assert found.tolist() == kept


def test_edges() -> None:
    options: Any = {"iou_threshold": 0.5, "confidence_threshold": 0.5, "per_class": False}
    assert suppress(np.zeros((0, 3)), np.zeros((0, 4)), **options).tolist() == []
    assert suppress(np.zeros((4, 2)), np.zeros((4, 4)), **options).tolist() == []
    # Boxes without an area overlap nothing; ties stay in the order they came.
    points = np.tile(np.float32([1, 1, 0, 0]), (3, 1))
    assert suppress(np.ones((3, 1)), points, **options).tolist() == [0, 1, 2]


CONFIDENCE = np.float32([[0.1, 0.6], [0.9, 0.0], [0.2, 0.5], [0.05, 0.1]])
BOXES = np.float32([[5, 5, 4, 4], [20, 20, 2, 2], [5, 5, 4, 4], [40, 40, 1, 1]])


def model(rows: tuple[int, int | None] | None = None, **options: Any) -> SuppressionPredictor:
    ranges = () if rows is None else (rows, (2, 2))
    confidence = Feature("kept", "multiArray", FP32, ranges=ranges)
    return SuppressionPredictor(
        NonMaximumSuppression(
            iou_threshold=0.5,
            confidence_threshold=0.2,
            per_class=False,
            confidence_input="confidence",
            coordinates_input="boxes",
            confidence_output="kept",
            coordinates_output="where",
            signature=Signature(
                (Feature("confidence", "multiArray"), Feature("boxes", "multiArray")),
                (confidence, Feature("where", "multiArray")),
            ),
            **options,
        )
    )


def test_rows_by_descending_confidence() -> None:
    found = model().predict({"confidence": CONFIDENCE, "boxes": BOXES})
    np.testing.assert_array_equal(found["kept"], CONFIDENCE[[1, 0]])
    np.testing.assert_array_equal(found["where"], BOXES[[1, 0]])
    assert found["kept"].dtype == np.float32


def test_a_leading_1_is_dropped_and_dtypes_kept() -> None:
    found = model().predict({"confidence": CONFIDENCE[None], "boxes": BOXES[None].astype("f8")})
    assert found["where"].shape == (2, 4)
    assert found["where"].dtype == np.float64


def test_rows_are_cut_and_filled_with_zeros() -> None:
    data = {"confidence": CONFIDENCE, "boxes": BOXES}
    cut = model((0, 1)).predict(data)
    np.testing.assert_array_equal(cut["kept"], CONFIDENCE[[1]])
    filled = model((3, 3)).predict(data)
    np.testing.assert_array_equal(filled["where"], np.vstack((BOXES[[1, 0]], np.zeros((1, 4)))))
    assert model((0, None)).predict(data)["kept"].shape == (2, 2)


def test_thresholds_given_with_the_call() -> None:
    predictor = model(iou_threshold_input="iou", confidence_threshold_input="least")
    data = {"confidence": CONFIDENCE, "boxes": BOXES}
    assert len(predictor.predict(data)["kept"]) == 2
    assert len(predictor.predict({**data, "iou": 1.0})["kept"]) == 3
    assert len(predictor.predict({**data, "least": np.array([0.05])})["kept"]) == 3
    with pytest.raises(ShapeError, match="expected one number"):
        predictor.predict({**data, "iou": [1.0, 2.0]})


def test_refusals() -> None:
    with pytest.raises(FeatureNameError, match="no input 'iou'"):
        model().predict({"confidence": CONFIDENCE, "boxes": BOXES, "iou": 0.5})
    with pytest.raises(FeatureNameError, match="'boxes' is missing"):
        model().predict({"confidence": CONFIDENCE})
    with pytest.raises(ShapeError, match=r"found shape \(3, 4\); expected shape \(4, 4\)"):
        model().predict({"confidence": CONFIDENCE, "boxes": BOXES[:3]})
    with pytest.raises(ShapeError, match="expected two dimensions"):
        model().predict({"confidence": CONFIDENCE[0], "boxes": BOXES})
    with pytest.raises(StateError):
        model().make_state()
