"""The estimates beside real plans. Oracle: the published plans; for the table, figures made up."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.placement import (
    aligned,
    compare,
    fit,
    is_met,
    measure,
    neural_engine_share,
    plans,
    table,
)
from benchmarks.placement_networks import NETWORKS
from etcoreml.placement import estimate
from etcoreml.placement.work import work_shares
from etcoreml.trace.cost import Cost
from tests.placement.placed import f16, function_of

OPERATIONS: list[tuple[str, str, list[str], float]] = [
    ("relu", "NE", ["CPU", "NE"], 0.75),
    ("tan", "CPU", ["CPU", "NE"], 0.25),
]


def _estimates() -> Any:
    def build(mb: Any, x: Any) -> Any:
        return mb.tan(x=mb.relu(x=x))

    return estimate(function_of({"x": f16(4, 4)}, build), None, "cpu_and_ne")


def test_disagreements_are_found() -> None:
    agreed, wrong = compare(aligned(_estimates(), OPERATIONS), OPERATIONS)
    assert agreed == 1
    assert [(each["type"], each["ours"], each["plan"]) for each in wrong] == [
        ("tan", ["CPU"], ["CPU", "NE"])
    ]


def test_an_uncertain_estimate_agrees_with_nothing() -> None:
    found = estimate(function_of({"x": f16(4, 4)}, lambda mb, x: mb.sin(x=x)), None, "cpu_and_ne")
    assert compare(found, [("sin", "CPU", ["CPU"], 1.0)])[0] == 0


def test_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="other operations"):
        aligned(_estimates(), OPERATIONS[::-1])


def test_shares() -> None:
    assert neural_engine_share(_estimates(), [0.75, 0.25]) == 0.75


def test_the_constant_is_found_again() -> None:
    costs = {"a": [Cost(8000, 10), Cost(0, 30)], "b": [Cost(16000, 10), Cost(10, 100)]}
    weights = {name: [each or 0.0 for each in work_shares(own, 80)] for name, own in costs.items()}
    assert fit(costs, weights) == 80


def test_the_table() -> None:
    row = {
        "operations": 2,
        "agreed": 1,
        "disagreements": [
            {"name": "y", "type": "tan", "rule": "r", "ours": ["CPU"], "plan": ["CPU", "NE"]}
        ],
        "off_in_plan": 0,
        "off_in_both": 0,
        "plan_share": {"M": 0.9, "N": 1.0},
        "share_by_their_weights": 0.91,
        "share_by_our_work": 0.92,
        "flops_per_byte": 80,
        "work_distance": 0.25,
    }
    assert not is_met(row)
    assert is_met({**row, "agreed": 2})
    assert not is_met({**row, "agreed": 2, "share_by_our_work": 0.96})
    text = table({"networks": {"a": row}, "flops_per_byte": 90})
    assert "| a | 1 of 2 | 0 of 0 | 90.0%; 100.0% | 91.0% | 92.0% | 25% |" in text
    assert "Short of the goals: a." in text
    assert "- a, tan `y`: the plan has CPU, NE, we have CPU (r)" in text


def test_the_plans_are_whole() -> None:
    """Oracle: the counts that their author gives."""
    found = plans()["plans"]
    assert found.keys() == NETWORKS.keys()
    assert sum(len(each["operations"]) for each in found.values()) == 771
    for each in found.values():
        assert sum(row[3] for row in each["operations"]) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_estimates_are_near_the_plans() -> None:
    """All five networks; a minute. The goals are those of the page."""
    document = measure()
    assert document["networks"].keys() == NETWORKS.keys()
    for name, row in document["networks"].items():
        assert is_met(row), name
        assert row["off_in_both"] == row["off_in_plan"], name
