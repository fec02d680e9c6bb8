"""Non-maximum suppression as a model of its own, the last stage of an object detector.

Enters: :class:`etcoreml.mil.NonMaximumSuppression`, boxes and confidences. Leaves: those kept.
The steps are those of that class; boxes have the NumPy dtype of the stage before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etcoreml.errors import FeatureNameError, ShapeError, StateError
from etcoreml.mil import NonMaximumSuppression
from etcoreml.mil.program import Array, Feature, Signature
from etcoreml.runtime.arrays import to_array
from etcoreml.runtime.predictor import check_names
from etcoreml.runtime.state import MLState


class SuppressionPredictor:
    """Predictions with a non-maximum suppression model.

    Args:
        model: Its thresholds and names.
    """

    def __init__(self, model: NonMaximumSuppression) -> None:
        self._model = model
        self._low, self._high = _row_limits(model)

    @property
    def signature(self) -> Signature:
        """The described interface."""
        return self._model.signature

    @property
    def devices(self) -> tuple[str, ...]:
        """None: NumPy does the work."""
        return ()

    def make_state(self) -> MLState:
        """Refuse: there is nothing to remember.

        Raises:
            StateError: Always.
        """
        raise StateError("a non-maximum suppression model has no states")

    def predict(self, data: Mapping[str, Any], state: MLState | None = None) -> dict[str, Any]:
        """Return the confidences and coordinates of the boxes kept.

        Args:
            data: Confidences ``(N, C)`` and coordinates ``(N, 4)``, and thresholds if the model
                names inputs for them.
            state: None.

        Returns:
            Confidences ``(M, C)`` and coordinates ``(M, 4)``, of the dtypes they came in.

        Raises:
            FeatureNameError: An input is unknown or missing.
            ShapeError: The boxes are not of these shapes.
        """
        model = self._model
        if state is not None:
            self.make_state()
        optional = [model.iou_threshold_input, model.confidence_threshold_input]
        check_names(
            data, (model.confidence_input, model.coordinates_input, *filter(None, optional))
        )
        confidence = _matrix(data, model.confidence_input)
        coordinates = _matrix(data, model.coordinates_input)
        if coordinates.shape != (len(confidence), 4):
            raise ShapeError(
                f"input {model.coordinates_input!r}",
                found=f"shape {coordinates.shape}",
                expected=f"shape ({len(confidence)}, 4), a row for each row of "
                f"{model.confidence_input!r}",
            )
        kept = suppress(
            confidence,
            coordinates,
            iou_threshold=_number(data, model.iou_threshold_input, model.iou_threshold),
            confidence_threshold=_number(
                data, model.confidence_threshold_input, model.confidence_threshold
            ),
            per_class=model.per_class,
        )[: self._high]
        return {
            model.confidence_output: _padded(confidence[kept], self._low),
            model.coordinates_output: _padded(coordinates[kept], self._low),
        }


def suppress(
    confidence: Array,
    coordinates: Array,
    *,
    iou_threshold: float,
    confidence_threshold: float,
    per_class: bool,
) -> Array:
    """Choose boxes; the most confident of those that overlap stays.

    Args:
        confidence: ``(N, C)`` floats, not negative.
        coordinates: ``(N, 4)`` floats: centre x, centre y, width, height, in any one unit.
        iou_threshold: Overlap, area of intersection by area of union, above which a box goes.
        confidence_threshold: Confidence below which a box goes.
        per_class: Whether only boxes of the same label suppress each other.

    Returns:
        ``(M,)`` int64 row numbers, by descending confidence, ties in the order they came.

    Source:
        coremltools 9.0 ``NonMaximumSuppression.proto`` (PickTop).
    """
    if not confidence.size:
        return np.zeros(0, np.int64)
    labels = confidence.argmax(axis=1)
    best = confidence.max(axis=1).astype(np.float64)
    order = np.argsort(-best, kind="stable")
    order = order[best[order] >= confidence_threshold]
    boxes = coordinates.astype(np.float64)
    half = boxes[:, 2:] / 2
    low, high = boxes[:, :2] - half, boxes[:, :2] + half
    areas = boxes[:, 2] * boxes[:, 3]
    kept: list[int] = []
    while order.size:
        first, order = order[0], order[1:]
        kept.append(int(first))
        sides = np.minimum(high[first], high[order]) - np.maximum(low[first], low[order])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        union = areas[first] + areas[order] - shared
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        stays = overlap <= iou_threshold
        if per_class:
            stays |= labels[order] != labels[first]
        order = order[stays]
    return np.array(kept, np.int64)


def _matrix(data: Mapping[str, Any], name: str) -> Array:
    if data.get(name) is None:
        raise FeatureNameError(f"input {name!r} is missing", found=sorted(data))
    array = to_array(data[name], f"input {name!r}")
    if array.ndim > 2 and all(size == 1 for size in array.shape[:-2]):
        array = array.reshape(array.shape[-2:])
    if array.ndim != 2:
        raise ShapeError(f"input {name!r}", found=f"shape {array.shape}", expected="two dimensions")
    return array


def _number(data: Mapping[str, Any], name: str, default: float) -> float:
    if not name or data.get(name) is None:
        return default
    array = to_array(data[name], f"input {name!r}")
    if array.size != 1:
        raise ShapeError(f"input {name!r}", found=f"shape {array.shape}", expected="one number")
    return float(array.reshape(())[()])


def _padded(rows: Array, low: int) -> Array:
    missing = max(low - len(rows), 0)
    return np.pad(rows, ((0, missing), (0, 0))) if missing else rows


def _row_limits(model: NonMaximumSuppression) -> tuple[int, int | None]:
    """Return the smallest and the largest number of rows that either output declares."""
    low: int = 0
    high: int | None = None
    for feature in model.signature.outputs:
        least, most = _rows(feature)
        low = max(low, least)
        high = most if high is None else high if most is None else min(high, most)
    return low, high


def _rows(feature: Feature) -> tuple[int, int | None]:
    if feature.ranges:
        return feature.ranges[0]
    return (feature.shape[0], feature.shape[0]) if feature.shape else (0, None)
