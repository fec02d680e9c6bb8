"""FLOPs and bytes of MIL operations. Oracle: counted by hand from the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.trace.attribution import symbol
from etcoreml.trace.cost import Cost, costs
from tests.cases import integers, mil_builder, mil_function, normal, packed, to_program


def cost_of(build: Any, inputs: dict[str, Any], kind: str, opset: str = "iOS18") -> Cost:
    program = to_program(mil_function(inputs, build, opset), opset)
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


def test_weights_count_as_they_are_stored() -> None:
    """Four bits for each weight, and a scale in fp16 for each 32: not 16 bits, as it expands to."""

    def build(x: Any) -> Any:
        builder = mil_builder()
        scale = np.full((8, 2), 0.5, np.float16)
        weight = builder.constexpr_blockwise_shift_scale(
            data=packed("int4", integers(-8, 8, 8, 64)), scale=scale
        )
        return builder.linear(x=x, weight=weight, bias=np.zeros(8, np.float16))

    x = np.zeros((3, 64), np.float16)
    stored = 8 * 64 // 2 + 2 * 8 * 2
    linear = cost_of(build, {"x": x}, "linear")
    assert linear == Cost(2 * 3 * 8 * 64, stored + 2 * (3 * 64 + 8 + 3 * 8))
    assert cost_of(build, {"x": x}, "constexpr_blockwise_shift_scale") == Cost(0, stored)


def test_weights_of_several_expansions() -> None:
    """A palette of sixteen entries, each of them an int8 that is scaled."""

    def build(x: Any) -> Any:
        builder = mil_builder()
        lut = builder.constexpr_blockwise_shift_scale(
            data=np.ones((1, 1, 16, 1), np.int8), scale=np.ones((1, 1, 1, 1), np.float16)
        )
        indices = packed("uint4", integers(0, 16, 8, 64))
        weight = builder.constexpr_lut_to_dense(indices=indices, lut=lut)
        return builder.linear(x=x, weight=weight, bias=np.zeros(8, np.float16))

    x = np.zeros((3, 64), np.float16)
    linear = cost_of(build, {"x": x}, "linear")
    assert linear.nbytes == 8 * 64 // 2 + 16 + 2 + 2 * (3 * 64 + 8 + 3 * 8)


def test_a_gather_reads_its_part_of_what_is_stored() -> None:
    def build(i: Any) -> Any:
        builder = mil_builder()
        scale = np.full((1000, 1), 0.5, np.float16)
        table = builder.constexpr_blockwise_shift_scale(
            data=packed("int4", integers(-8, 8, 1000, 32)), scale=scale
        )
        return builder.gather(x=table, indices=i, axis=0, validate_indices=False)

    found = cost_of(build, {"i": np.zeros(3, np.int32)}, "gather")
    assert found.nbytes == 3 * (32 // 2 + 2) + 3 * 32 * 2


def test_weights_that_are_attributes_count_as_they_are_stored() -> None:
    """Up to iOS17, constexpr operations have attributes instead of operands."""

    def build(x: Any) -> Any:
        builder = mil_builder()
        weight = builder.constexpr_affine_dequantize(
            quantized_data=np.ones((8, 64), np.int8),
            zero_point=np.zeros(8, np.int8),
            scale=np.ones(8, np.float16),
            axis=0,
        )
        return builder.linear(x=x, weight=weight, bias=np.zeros(8, np.float16))

    x = np.zeros((3, 64), np.float16)
    linear = cost_of(build, {"x": x}, "linear", "iOS16")
    axis = 4
    assert linear.nbytes == 8 * 64 + 8 + 2 * 8 + axis + 2 * (3 * 64 + 8 + 3 * 8)
