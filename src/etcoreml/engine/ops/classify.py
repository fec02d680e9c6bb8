"""MIL family ``classify``. Source: coremltools 9.0 ``iOS15/classify.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import Classification
from etcoreml.mil.program import Array


@translates("classify", spec="iOS15.classify")
def classify(probabilities: Output, classes: Array, context: Context) -> list[Classification]:
    """Return the label of the highest probability, and the probability of each label.

    Args:
        probabilities: ``(*)`` fp32, K numbers.
        classes: The K labels, strings or int64.
        context: The translation.
    """
    labels = tuple(item if isinstance(item, str) else int(np.ravel(item)[0]) for item in classes)
    flat: Any = graph.reshape(probabilities, (-1,))
    count = graph.known_size(flat, 0)
    if count is not None and count != len(labels):
        raise context.unsupported("classes", f"{len(labels)} labels", f"{count} labels")
    best = op.topk(flat, graph.integer(1), 0, "max", "value", index_element_type="i64", stable=True)
    return [
        Classification(graph.scalar(best.output(1)), labels),  # type: ignore[arg-type]
        Classification(flat, labels),  # type: ignore[arg-type]
    ]
