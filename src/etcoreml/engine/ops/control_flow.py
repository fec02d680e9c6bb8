"""MIL family ``control_flow``. Source: coremltools 9.0 ``iOS15/control_flow.py``."""

from __future__ import annotations

from typing import Any

from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates


@translates("select", spec="iOS15.select")
def select(cond: Output, a: Output, b: Output, context: Context) -> Any:
    """Return ``a`` where ``cond`` and ``b`` elsewhere, with broadcasting.

    Args:
        cond: ``(*)`` bool.
        a: ``(*)`` of any dtype.
        b: ``(*)`` of the dtype of ``a``.
        context: The translation.
    """
    type_ = context.element_type()
    return op.select(cond, graph.convert(a, type_), graph.convert(b, type_))
