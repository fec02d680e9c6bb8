"""Non-maximum suppression against a loop over boxes in NumPy, written from the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cases import Case, normal, numbers_of, run, uniform


def _overlap(a: Any, b: Any) -> float:
    sides = [
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2)
        - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)
        for i in (0, 1)
    ]
    shared = max(sides[0], 0) * max(sides[1], 0)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return float(shared / union) if shared else 0.0


def _nms(
    boxes: Any,
    scores: Any,
    iou_threshold: Any,
    max_boxes: Any,
    score_threshold: Any = -np.inf,
    per_class_suppression: bool = False,
) -> Any:
    n, _, k = scores.shape
    outs = (
        np.zeros((n, max_boxes, 4)),
        np.zeros((n, max_boxes, k)),
        np.full((n, max_boxes), -1),
        np.zeros(n),
    )
    for b in range(n):
        best, classes = scores[b].max(-1), scores[b].argmax(-1)
        kept: list[int] = []
        for i in np.argsort(-best, kind="stable"):
            rivals = [j for j in kept if not per_class_suppression or classes[i] == classes[j]]
            overlaps = [_overlap(boxes[b, i], boxes[b, j]) for j in rivals]
            if best[i] > score_threshold and all(o <= iou_threshold for o in overlaps):
                kept.append(int(i))
        kept = (kept or [int(best.argmax())])[:max_boxes]
        outs[0][b, : len(kept)] = boxes[b, kept]
        outs[1][b, : len(kept)] = scores[b, kept]
        outs[2][b, : len(kept)] = kept
        outs[3][b] = len(kept)
    return outs


def _columns(boxes: Any, scores: Any, **options: Any) -> Any:
    found = _nms(boxes.swapaxes(1, 2), scores.swapaxes(1, 2), **options)
    return found[0].swapaxes(1, 2), found[1].swapaxes(1, 2), found[2]


def _boxes(n: int, count: int) -> Any:
    return np.concatenate(
        [uniform(0, 10, n, count, 2), uniform(1, 6, n, count, 2, seed=1)], axis=-1
    )


def _params(iou: float, count: int, **more: Any) -> Any:
    return {"iou_threshold": np.float32(iou), "max_boxes": np.int32(count), **more}


def _score(value: float) -> Any:
    return {"score_threshold": np.float32(value)}


ROWS = {"boxes": _boxes(2, 30), "scores": normal(2, 30, 3)}
COLUMNS = {name: np.ascontiguousarray(v.swapaxes(1, 2)) for name, v in ROWS.items()}
TIED = {"boxes": np.tile(np.float32([1, 1, 2, 2]), (1, 3, 1)), "scores": np.ones((1, 3, 1), "f4")}
PER_CLASS = {"per_class_suppression": np.bool_(True)}

CASES = (
    *(
        Case(
            "non_maximum_suppression",
            ROWS,
            _params(iou, count, **options),
            why=why,
            expect=_nms,
            # Which boxes overlap too much is decided on the rounded boxes, in f32, by both.
            fp16=True,
        )
        for why, iou, count, options in (
            ("fewer than asked for", 0.2, 40, _score(0.0)),
            ("more than asked for", 0.5, 4, _score(-0.5)),
            ("per class", 0.3, 20, {**_score(0.0), **PER_CLASS}),
            ("nothing scores", 0.3, 5, _score(100.0)),
            ("nothing scores in any class", 0.3, 5, {**_score(100.0), **PER_CLASS}),
            ("everything scores", 1.0, 30, _score(-100.0)),
        )
    ),
    Case(
        "non_maximum_suppression",
        TIED,
        _params(1.0, 3, **_score(0.0)),
        why="equal boxes at threshold 1",
        expect=_nms,
    ),
    Case(
        "non_maximum_suppression",
        TIED,
        _params(0.5, 3, **_score(1.0)),
        why="a score at the threshold",
        expect=_nms,
    ),
    *(
        Case(
            "non_maximum_suppression",
            COLUMNS,
            _params(0.3, 12, **options),
            why=why,
            expect=_columns,
            opset="iOS17",
        )
        for why, options in (("columns", {}), ("columns per class", PER_CLASS))
    ),
)

test_numbers = numbers_of(CASES)


@pytest.mark.parametrize(("inputs", "opset"), [(ROWS, "iOS15"), (COLUMNS, "iOS17")])
def test_no_boxes_asked_for(inputs: Any, opset: str) -> None:
    """Oracle: the shapes that MIL declares."""
    options = _score(0.0) if opset == "iOS15" else {}
    found, _ = run(Case("non_maximum_suppression", inputs, _params(0.5, 0, **options), opset=opset))
    batch = inputs["boxes"].shape[0]
    classes = inputs["scores"].shape[2 if opset == "iOS15" else 1]
    shapes = [(batch, 0, 4), (batch, 0, classes), (batch, 0), (batch,)]
    if opset == "iOS17":
        shapes = [(batch, 4, 0), (batch, classes, 0), (batch, 0)]
    assert [value.shape for value in found] == shapes
    assert not any(value.any() for value in found)
