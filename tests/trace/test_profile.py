"""Sums and shares of a profile."""

from __future__ import annotations

from etcoreml.trace.cost import Cost
from etcoreml.trace.events import UNATTRIBUTED
from etcoreml.trace.profile import Profiled, cost_of, grouped, is_operation
from etcoreml.trace.roofline import Roofline

OPS = (
    Profiled("a:conv", "conv", (2.0, 1.0, 3.0), Cost(4_000_000, 1_000_000), module="stem"),
    Profiled("b:conv", "conv", (1.0, 1.0, 1.0), Cost(1_000_000, 500_000), module="head"),
    Profiled("c:relu", "relu", (4.0, 4.0, 4.0), Cost(None, None), module="stem"),
)


def test_speed_and_roofline() -> None:
    limits = Roofline(gflops=4.0, gb_per_s=10.0)
    assert OPS[0].median_ms == 2.0
    assert OPS[0].gflops_per_s == 2.0
    assert OPS[0].roofline_share(limits) == 0.5  # 1 ms of computing in 2 ms
    assert OPS[2].gflops_per_s is None
    assert OPS[2].roofline_share(limits) is None


def test_groups_most_expensive_first() -> None:
    found = grouped(OPS, lambda each: each.type)
    assert [(each.name, each.count, each.median_ms) for each in found] == [
        ("relu", 1, 4.0),
        ("conv", 2, 3.0),
    ]
    assert found[1].cost == Cost(5_000_000, 1_500_000)
    assert [each.name for each in grouped(OPS, lambda each: each.module)] == ["stem", "head"]


def test_fused_operations_cost_together() -> None:
    known = {"a:conv": Cost(10, 100), "b:relu": Cost(1, 40)}
    assert cost_of("a:conv", ["b:relu"], known) == Cost(11, 100)
    assert cost_of("a:conv", ["unknown"], known) == Cost(None, 100)


def test_what_is_an_operation() -> None:
    assert is_operation("y:conv")
    assert is_operation("native_call_add.out")
    for event in (UNATTRIBUTED, "DELEGATE_CALL", "Method::execute", "OPERATOR_CALL"):
        assert not is_operation(event)
