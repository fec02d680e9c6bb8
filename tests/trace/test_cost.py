"""FLOPs and bytes of MIL operations. Oracle: counted by hand from the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.trace.attribution import symbol
from etcoreml.trace.cost import Cost, costs
from tests.cases import mil_builder, mil_function, normal, to_program


def cost_of(build: Any, inputs: dict[str, Any], kind: str) -> Cost:
    program = to_program(mil_function(inputs, build, "iOS18"), "iOS18")
    function = program.functions["main"]
    found = costs(function)
    (name,) = (symbol(each) for each in function.block.operations if each.type == kind)
    return found[name]


def f32(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def test_linear() -> None:
    def build(x: Any) -> Any:
        return mil_builder().linear(x=x, weight=normal(8, 4), bias=f32(8))

    found = cost_of(build, {"x": f32(3, 4)}, "linear")
    assert found == Cost(2 * 3 * 8 * 4, 4 * (3 * 4 + 8 * 4 + 8 + 3 * 8))


def test_convolution_in_groups() -> None:
    def build(x: Any) -> Any:
        return mil_builder().conv(x=x, weight=normal(6, 2, 3, 3), groups=2, pad_type="valid")

    found = cost_of(build, {"x": f32(1, 4, 8, 8)}, "conv")
    assert found.flops == 2 * (6 * 6 * 6) * (2 * 3 * 3)


def test_transposed_convolution() -> None:
    def build(x: Any) -> Any:
        return mil_builder().conv_transpose(x=x, weight=normal(4, 5, 3, 3), pad_type="valid")

    found = cost_of(build, {"x": f32(1, 4, 8, 8)}, "conv_transpose")
    assert found.flops == 2 * (4 * 8 * 8) * (5 * 3 * 3)


@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_product(transposed: bool) -> None:
    def build(x: Any, y: Any) -> Any:
        return mil_builder().matmul(x=x, y=y, transpose_x=transposed)

    x = f32(2, 7, 5) if transposed else f32(2, 5, 7)
    assert cost_of(build, {"x": x, "y": f32(2, 7, 3)}, "matmul").flops == 2 * 2 * 5 * 3 * 7


def test_attention() -> None:
    def build(x: Any) -> Any:
        return mil_builder().scaled_dot_product_attention(query=x, key=x, value=x)

    flops = cost_of(build, {"x": f32(1, 6, 4)}, "scaled_dot_product_attention").flops
    assert flops == 2 * (6 * 6 * 4) + 2 * (6 * 6 * 4)


def test_elementwise_reads_each_value_once() -> None:
    def build(x: Any) -> Any:
        return mil_builder().mul(x=x, y=x)

    assert cost_of(build, {"x": f32(5, 4)}, "mul") == Cost(20, 4 * (20 + 20))


def test_moves_compute_nothing() -> None:
    def build(x: Any) -> Any:
        return mil_builder().transpose(x=x, perm=[1, 0])

    found = cost_of(build, {"x": f32(5, 4)}, "transpose")
    assert found.flops == 0


def test_a_gather_reads_what_it_takes() -> None:
    def build(i: Any) -> Any:
        return mil_builder().gather(x=normal(1000, 4), indices=i, axis=0, validate_indices=False)

    found = cost_of(build, {"i": np.zeros(3, np.int32)}, "gather")
    assert found.nbytes == 2 * 3 * 4 * 4
