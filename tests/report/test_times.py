"""Operations and the nodes they compute. Oracle: hand-made profiles and graphs."""

from __future__ import annotations

from etcoreml.report.document import Node
from etcoreml.report.times import joined, nodes_by_handle, nodes_by_name, placed, time_of
from etcoreml.trace.cost import Cost
from etcoreml.trace.profile import Profile, Profiled
from etcoreml.trace.roofline import Roofline

CONV = Profiled(
    "bn_cast:conv", "conv", (2.0, 3.0, 4.0), Cost(6_000_000, 10), fused_with=("r:clip",)
)
ACOSH = Profiled("native_call_acosh.out", "ExecuTorch", (1.0, 1.0, 1.0))
PROFILE = Profile((CONV, ACOSH), (10.0, 8.0, 9.0), (1.0, 2.0, 3.0), {"load_s": 0.5})
LIMITS = Roofline(gflops=4.0, gb_per_s=10.0)


def node(name: str, *inputs: str, kind: str = "core_ml", flops: int = 0, op: str = "") -> Node:
    return Node(name, op or name, (name,), kind, inputs, flops=flops)


def test_times_add_up() -> None:
    time = time_of(PROFILE, LIMITS, {"bn_cast:conv": 60.0, "r:clip": 50.0}, "random")
    conv, acosh = time.operations
    assert (conv.median_ms, conv.min_ms, conv.max_ms) == (3.0, 2.0, 4.0)
    assert conv.share == 3 / 9
    assert conv.gflops_per_s == 2.0
    assert conv.roofline_share == 0.5
    assert conv.snr_db == 50.0, "the result is that of what is fused last"
    assert (acosh.name, acosh.inside, acosh.snr_db) == ("acosh.out", False, None)
    parts = sum(each.median_ms for each in time.operations) + time.unattributed_ms + time.other_ms
    assert parts == time.run_ms == 9.0


def test_nodes_go_with_what_computes_them() -> None:
    nodes = [
        node("x", kind="input"),
        node("conv", "x", flops=100),
        node("bn", "conv", flops=10),
        node("relu", "bn", flops=10),
        node("acosh", "relu", kind="outside", op="aten.acosh.default"),
        node("alone", "acosh"),
    ]
    symbols = {"bn_cast:conv": (2,), "weights:const": (2,), "r:clip": (3,)}
    handles = {"conv": frozenset({1}), "bn": frozenset({2}), "relu": frozenset({3})}
    time = time_of(PROFILE, LIMITS, {}, "random")
    found = joined(nodes, time, nodes_by_handle(symbols, handles))
    assert [each.operation for each in found] == [None, 0, 0, 0, 1, None]
    assert [each.id for each in found if each.leads] == ["conv", "acosh"]
    assert [each.path for each in placed(time, found).operations] == [("conv",), ("acosh",)]


def test_nothing_is_fused_across_a_border() -> None:
    nodes = [
        node("cast"),
        node("acosh", "cast", kind="outside", op="aten::acosh.out"),
        node("r", "acosh", op="clip"),
        node("bn_cast", "r", op="conv"),
    ]
    found = joined(nodes, time_of(PROFILE, LIMITS, {}, "random"), nodes_by_name(nodes))
    assert [each.operation for each in found] == [None, 1, 0, 0]
    assert [each.id for each in found if each.leads] == ["acosh", "bn_cast"]


def test_an_operator_called_twice_is_not_guessed() -> None:
    nodes = [node(name, kind="outside", op="aten::acosh.out") for name in ("a", "b")]
    found = joined(nodes, time_of(PROFILE, LIMITS, {}, "random"), nodes_by_name(nodes))
    assert [each.operation for each in found] == [None, None]
