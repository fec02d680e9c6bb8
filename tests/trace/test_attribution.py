"""Kernels to operations, by the ways OpenVINO names them."""

from __future__ import annotations

from etcoreml.engine import Kernel
from etcoreml.trace import attribute
from etcoreml.trace.attribution import symbol
from tests.trace.operations import ATTENTION, CONV, FLOPS, OPERATIONS, RELU


def found(*kernels: Kernel) -> dict[str, str]:
    made = attribute(kernels, OPERATIONS, FLOPS)
    return {name: symbol(each.operation) for name, each in made.items()}


def test_to_the_most_flops_of_all_that_is_fused() -> None:
    kernel = Kernel("y/Convolution", ("y/Convolution", "y", "z"), ())
    made = attribute([kernel], OPERATIONS, FLOPS)["y/Convolution"]
    assert made.operation is CONV
    assert made.members == (CONV, RELU)
    assert made.by_name


def test_attention_is_not_named_after_the_transpose_at_its_end() -> None:
    """As OpenVINO 2026.4 names it: after the last, with all of it in no order to rely on."""
    kernel = Kernel("t", ("t", "scores", "weights", "attention"), ())
    made = attribute([kernel], ATTENTION, {"scores:matmul": 64, "attention:matmul": 64})["t"]
    assert symbol(made.operation) == "attention:matmul", "of two alike, the last"
    assert made.members == ATTENTION


def test_of_those_alike_to_the_one_it_is_named_after() -> None:
    kernel = Kernel("scores", ("scores", "weights"), ())
    assert attribute([kernel], ATTENTION, {})["scores"].operation is ATTENTION[0]


def test_unknown_flops_count_as_the_most() -> None:
    kernel = Kernel("t", ("t", "attention"), ())
    made = attribute([kernel], ATTENTION, {"t:transpose": 0, "attention:matmul": None})
    assert symbol(made["t"].operation) == "attention:matmul"


def test_by_what_is_fused_into_it() -> None:
    assert found(Kernel("Gather_648", ("Gather_648", "z"), ())) == {"Gather_648": "z:relu"}


def test_every_output_names_its_operation() -> None:
    assert found(Kernel("q", (), ())) == {"q": "p:split"}


def test_changes_of_layout_by_the_end_of_their_name() -> None:
    name = "x_abcd_acdb_y/Convolution"
    assert found(Kernel(name, (), ())) == {name: "y:conv"}


def test_nameless_ones_go_to_whoever_reads_them() -> None:
    kernels = [
        Kernel("y", (), ()),
        Kernel("Multiply_1", (), ("y",)),
        Kernel("Multiply_2", (), ("Multiply_1",)),
        Kernel("z", (), ("Multiply_2",)),
    ]
    made = attribute(kernels, OPERATIONS, FLOPS)
    assert symbol(made["Multiply_1"].operation) == "z:relu"
    assert not made["Multiply_1"].by_name


def test_the_last_ones_go_to_what_they_read() -> None:
    kernels = [Kernel("z", (), ()), Kernel("Reorder_9", (), ("z",))]
    assert found(*kernels)["Reorder_9"] == "z:relu"


def test_what_nothing_leads_to_is_left_out() -> None:
    assert found(Kernel("Reorder_9", (), ())) == {}


def test_graphs_with_a_way_back() -> None:
    kernels = [Kernel("a", (), ("b",)), Kernel("b", (), ("a",))]
    assert found(*kernels) == {}
