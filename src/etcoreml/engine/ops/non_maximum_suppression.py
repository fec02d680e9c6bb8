"""MIL family ``tensor_operation``: non-maximum suppression.

Source: coremltools 9.0 ``tensor_operation.py`` of iOS15 and iOS17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates

_IOS_OF_COLUMNS = 17
"""From iOS 17 boxes are columns; there is no score threshold, and no count is returned."""

_LOWEST = float(np.finfo(np.float32).min)


@translates(
    "non_maximum_suppression",
    spec="iOS15.non_maximum_suppression, iOS17.non_maximum_suppression",
)
def non_maximum_suppression(
    boxes: Output,
    scores: Output,
    iou_threshold: float,
    max_boxes: int,
    context: Context,
    score_threshold: float = -np.inf,
    per_class_suppression: bool = False,
) -> Any:
    """Keep the best boxes, none of which overlaps a better one by more than a threshold.

    A box's score is that of its best class. If no score passes the threshold, the best box is
    kept all the same.

    Args:
        boxes: ``(n, B, 4)``, from iOS17 ``(n, 4, B)``: centre x, y, width, height.
        scores: ``(n, B, K)``, from iOS17 ``(n, K, B)``, for K classes.
        iou_threshold: Intersection over union above which the worse box is dropped.
        max_boxes: How many boxes are returned: missing ones are zeros with index -1.
        context: The translation.
        score_threshold: Boxes that do not score more are dropped first; up to iOS16.
        per_class_suppression: Whether only boxes of the same best class compete.

    Returns:
        Boxes and scores with ``max_boxes`` instead of B, the best first; their indices
        ``(n, max_boxes)`` int32; up to iOS16 also their number ``(n,)`` int32.
    """
    is_columns = context.ios >= _IOS_OF_COLUMNS
    if is_columns:
        boxes, scores = (graph.transpose(value, (0, 2, 1)) for value in (boxes, scores))
    if max_boxes == 0:
        return _nothing(scores, is_columns)
    best = graph.output(op.reduce_max(scores, graph.integers(2), False))
    kept = _kept(
        boxes,
        _competing(scores, best) if per_class_suppression else graph.unsqueeze(best, 1),
        iou_threshold,
        score_threshold,
        best,
    )
    ranked = graph.output(op.select(kept, best, graph.floats(-np.inf)))
    # TopK cannot ask for more than there is.
    ranked = _padded(ranked, max_boxes)
    top = op.topk(
        ranked, graph.integer(max_boxes), 1, "max", "value", index_element_type="i32", stable=True
    )
    survivors = op.reduce_sum(op.convert(kept, Type.i32), graph.integers(1), False)
    count = graph.output(op.minimum(survivors, op.constant(np.int32(max_boxes))))
    ordinal = op.constant(np.arange(max_boxes, dtype=np.int32)[None])
    is_box = graph.output(op.less(ordinal, graph.unsqueeze(count, 1)))
    # Index 0 stands in where there is no box: the padding itself cannot be gathered.
    index = graph.output(op.select(is_box, top.output(1), op.constant(np.int32(0))))
    # Not a batched Gather: OpenVINO 2026.4 crashes where that is small.
    rows = op.gather_nd(graph.concat([boxes, scores], 2), graph.unsqueeze(index, 2), 1)
    filled = op.select(graph.unsqueeze(is_box, 2), rows, graph.floats(0))
    outs = op.variadic_split(filled, graph.integer(2), graph.integers(4, -1)).outputs()
    indices = graph.output(op.select(is_box, index, op.constant(np.int32(-1))))
    if is_columns:
        return [*(graph.transpose(value, (0, 2, 1)) for value in outs), indices]
    return [*outs, indices, count]


def _nothing(scores: Output, is_columns: bool) -> list[Any]:
    """Return the results for no boxes at all."""
    batch, none, four = graph.size_of(scores, 0), graph.integers(0), graph.integers(4)
    ends = [[none, size] for size in (four, graph.size_of(scores, 2))]
    shapes = [[batch, *(end[::-1] if is_columns else end)] for end in ends]
    floats = [op.broadcast(graph.floats(0), graph.concat(shape, 0)) for shape in shapes]
    zero = op.constant(np.int32(0))
    indices = op.broadcast(zero, graph.concat([batch, none], 0))
    return [*floats, indices] if is_columns else [*floats, indices, op.broadcast(zero, batch)]


def _competing(scores: Output, best: Output) -> Output:
    """Return ``(n, K, B)``: a box's score for its best class, the lowest number for others."""
    count = graph.size_of(scores, 2)
    top = op.topk(
        scores, graph.integer(1), 2, "max", "value", index_element_type="i32", stable=True
    )
    classes = op.range(graph.integer(0), graph.scalar(count), graph.integer(1), "i32")
    is_best = op.equal(top.output(1), classes)
    alone = op.select(is_best, graph.unsqueeze(best, 2), graph.floats(_LOWEST))
    return graph.transpose(alone.output(0), (0, 2, 1))


def _kept(
    boxes: Output, scores: Output, iou_threshold: float, score_threshold: float, best: Output
) -> Output:
    """Return ``(n, B)`` bool: which boxes are selected."""
    count = graph.size_of(boxes, 1)
    four = graph.concat([graph.size_of(boxes, 0), graph.integers(-1, 4)], 0)
    chosen = op.non_max_suppression(
        graph.reshape(boxes, four),
        scores,
        graph.scalar(count),
        # OpenVINO drops boxes at the threshold, MIL beyond it.
        graph.floats(np.nextafter(np.float32(iou_threshold), np.float32(np.inf))),
        graph.floats(max(score_threshold, _LOWEST)),
        box_encoding="center",
        sort_result_descending=False,
        output_type="i32",
    ).output(0)
    # Rows of batch, class and box, to places among all boxes of all batches.
    columns = op.split(chosen, graph.integer(1), 3).outputs()
    size = graph.convert(count, Type.i32)
    place = graph.reshape(op.add(op.multiply(columns[0], size), columns[2]).output(0), (-1,))
    shape = graph.concat([graph.size_of(boxes, 0), count], 0)
    total = op.reduce_prod(shape, graph.integers(0), True)
    marks = op.scatter_elements_update(
        op.broadcast(op.constant(np.array(0, np.int32)), total),
        place,
        op.broadcast(op.constant(np.array(1, np.int32)), graph.size_of(place, 0)),
        graph.integer(0),
    )
    kept = graph.reshape(marks.output(0), shape)
    none = op.equal(op.reduce_max(kept, graph.integers(1), True), op.constant(np.int32(0)))
    first = op.topk(
        best, graph.integer(1), 1, "max", "value", index_element_type="i32", stable=True
    )
    places = op.range(graph.integer(0), graph.scalar(count), graph.integer(1), "i32")
    is_first = op.equal(first.output(1), places)
    return graph.output(
        op.logical_or(op.not_equal(kept, op.constant(np.int32(0))), op.logical_and(none, is_first))
    )


def _padded(ranked: Output, count: int) -> Output:
    size = graph.known_size(ranked, 1)
    if size is not None and size >= count:
        return ranked
    return graph.output(
        op.pad(
            ranked,
            graph.integers(0, 0),
            graph.integers(0, count),
            "constant",
            graph.floats(-np.inf),
        )
    )
