"""The plan of a report. Oracle: what the rules say of three ops, and sums by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.report.plan import plan_of
from tests.placement.placed import f16, function_of


def _three(mb: Any, x: Any) -> Any:
    return mb.relu(x=x), mb.tan(x=x), mb.sin(x=x)


def test_each_operation_has_a_row() -> None:
    plan = plan_of([(function_of({"x": f16(4, 4)}, _three), None)], "cpu_and_ne")
    assert plan is not None
    assert (plan.origin, plan.compute_unit) == ("estimate", "cpu_and_ne")
    rows = {each.operation.partition(":")[2]: each for each in plan.operations}
    assert [each.preferred for each in rows.values()] == ["NE", "CPU", "NE or CPU"]
    assert [each.supported for each in rows.values()] == [("CPU", "NE"), ("CPU",), ("CPU",)]
    assert [each.leaves for each in rows.values()] == [False, True, True]
    assert all(each.reason for each in rows.values())
    assert plan.confidence.keys() == {each.confidence for each in rows.values()}


def test_shares_are_of_all_delegates_together() -> None:
    """A row reads and writes its elements: three times as many are three times the work."""
    small = function_of({"x": f16(4, 4)}, lambda mb, x: mb.relu(x=x))
    large = function_of({"x": f16(12, 4)}, lambda mb, x: mb.relu(x=x))
    plan = plan_of([(small, None), (large, None)], "all")
    assert plan is not None
    assert [each.estimated_work_share for each in plan.operations] == pytest.approx([0.25, 0.75])


def test_what_has_no_device_has_no_row() -> None:
    def build(mb: Any, x: Any) -> Any:
        weight = mb.constexpr_blockwise_shift_scale(
            data=np.zeros((8, 16), np.int8), scale=np.ones((8, 1), np.float16)
        )
        return mb.linear(x=x, weight=weight)

    plan = plan_of([(function_of({"x": f16(32, 16)}, build), None)], "all")
    assert plan is not None
    (row,) = plan.operations
    assert row.operation.endswith(":linear")


def test_nothing_in_core_ml_has_no_plan() -> None:
    assert plan_of([], "cpu_and_ne") is None
