"""MIL families ``constexpr_ops`` and ``compression`` against coremltools' own decompression.

Compressed weights have no run-time input, so each program adds one to an ``x`` of zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from etcoreml.engine.ops import compression
from etcoreml.engine.translate import translate
from tests.cases import (
    Case,
    integers,
    mil_builder,
    mil_function,
    normal,
    packed,
    to_program,
    uniform,
)

INT8, UINT8 = integers(-128, 128, 4, 6).astype(np.int8), integers(0, 256, 4, 6).astype(np.uint8)
SCALE = uniform(0.01, 0.1, 4, 1)
NIBBLES = integers(0, 16, 4, 6)
MASK = integers(0, 2, 4, 6)
COUNT = int(MASK.sum())


def _cases() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Name to (op, opset, parameters)."""
    fp16 = SCALE.astype(np.float16)
    lut = normal(1, 1, 16, 1, seed=3)
    return {
        "affine per tensor": (
            "constexpr_affine_dequantize",
            "iOS16",
            {"quantized_data": INT8, "zero_point": np.int8(3), "scale": fp16[0, 0], "axis": 0},
        ),
        "affine per channel": (
            "constexpr_affine_dequantize",
            "iOS16",
            {
                "quantized_data": UINT8,
                "zero_point": integers(0, 200, 6).astype(np.uint8),
                "scale": uniform(0.01, 0.1, 6),
                "axis": 1,
            },
        ),
        "lut flat": (
            "constexpr_lut_to_dense",
            "iOS16",
            {
                "indices": np.packbits(
                    np.unpackbits(
                        NIBBLES.astype(np.uint8).ravel()[:, None], axis=1, bitorder="little"
                    )[:, :4].ravel(),
                    bitorder="little",
                ),
                "lut": lut.ravel(),
                "shape": np.array([4, 6], np.uint32),
            },
        ),
        "sparse flat": (
            "constexpr_sparse_to_dense",
            "iOS16",
            {
                "nonzero_data": normal(COUNT),
                "mask": np.packbits(MASK.astype(np.uint8).ravel(), bitorder="little"),
                "shape": np.array([4, 6], np.uint32),
            },
        ),
        "cast": (
            "constexpr_cast",
            "iOS16",
            {"source_val": normal(4, 6).astype(np.float16), "output_dtype": "fp32"},
        ),
        "blockwise int8": (
            "constexpr_blockwise_shift_scale",
            "iOS18",
            {"data": INT8, "scale": SCALE},
        ),
        "blockwise uint4": (
            "constexpr_blockwise_shift_scale",
            "iOS18",
            {
                "data": packed("uint4", NIBBLES),
                "scale": uniform(0.01, 0.1, 4, 3),
                "offset": packed("uint4", integers(0, 16, 4, 3)),
            },
        ),
        "blockwise int4 fp16": (
            "constexpr_blockwise_shift_scale",
            "iOS18",
            {"data": packed("int4", NIBBLES - 8), "scale": fp16},
        ),
        "lut": (
            "constexpr_lut_to_dense",
            "iOS18",
            {"indices": packed("uint4", NIBBLES), "lut": lut},
        ),
        "lut per group": (
            "constexpr_lut_to_dense",
            "iOS18",
            {"indices": packed("uint2", NIBBLES % 4), "lut": normal(2, 3, 4, 1)},
        ),
        "lut 3 bits": (
            "constexpr_lut_to_dense",
            "iOS18",
            {"indices": packed("uint3", NIBBLES % 8), "lut": normal(1, 1, 8, 1)},
        ),
        "lut vectors": (
            "constexpr_lut_to_dense",
            "iOS18",
            {
                "indices": packed("uint1", MASK),
                "lut": normal(2, 1, 2, 3),
                "vector_axis": np.int32(1),
            },
        ),
        "sparse": (
            "constexpr_sparse_to_dense",
            "iOS18",
            {"nonzero_data": normal(COUNT), "mask": packed("uint1", MASK)},
        ),
    }


# Listed, because making the cases imports coremltools, which collecting tests should not.
NAMES = (
    "affine per tensor",
    "affine per channel",
    "lut flat",
    "sparse flat",
    "cast",
    "blockwise int8",
    "blockwise uint4",
    "blockwise int4 fp16",
    "lut",
    "lut per group",
    "lut 3 bits",
    "lut vectors",
    "sparse",
)


def test_every_case_is_listed() -> None:
    assert set(NAMES) == set(_cases())


@pytest.mark.parametrize("name", NAMES)
def test_dense(name: str) -> None:
    op, opset, params = _cases()[name]
    truth: list[Any] = []

    def build(x: Any) -> Any:
        weight = getattr(mil_builder(), op)(**params)
        truth.append(weight.op.materialized_val_inference())
        return mil_builder().add(x=x, y=weight)

    zeros = np.zeros((), np.float16 if "fp16" in name or "per tensor" in name else np.float32)
    program = to_program(mil_function({"x": zeros}, build, opset), opset)
    (found,) = compile_function(program).run({"x": zeros}).values()
    np.testing.assert_allclose(found, truth[0], 1e-3 if found.dtype == np.float16 else 1e-6)


@pytest.mark.parametrize("source", ["lut", "blockwise"])
def test_sparse_pairs(source: str) -> None:
    truth: list[Any] = []

    def build(x: Any) -> Any:
        mil = mil_builder()
        mask = packed("uint1", MASK)
        if source == "lut":
            pair = mil.constexpr_lut_to_sparse(
                indices_mask=mask,
                indices_nonzero_data=packed("uint2", integers(0, 4, COUNT)),
                lut=normal(1, 1, 4, 1),
            )
        else:
            pair = mil.constexpr_sparse_blockwise_shift_scale(
                data_mask=mask,
                nonzero_data=integers(-100, 100, COUNT).astype(np.int8),
                scale=uniform(0.01, 0.1, 4, 2),
            )
        weight = mil.constexpr_sparse_to_dense(nonzero_data=pair[1], mask=pair[0])
        truth.append(weight.op.materialized_val_inference())
        return mil.add(x=x, y=weight)

    zeros = np.zeros((), np.float32)
    program = to_program(mil_function({"x": zeros}, build, "iOS18"), "iOS18")
    (found,) = compile_function(program).run({"x": zeros}).values()
    np.testing.assert_allclose(found, truth[0], 1e-6)


# Conformance counts these as the cases of the ops they run.
CASES = (
    Case("constexpr_affine_dequantize", {}),
    Case("constexpr_blockwise_shift_scale", {}),
    Case("constexpr_cast", {}),
    Case("constexpr_lut_to_dense", {}),
    Case("constexpr_lut_to_sparse", {}),
    Case("constexpr_sparse_blockwise_shift_scale", {}),
    Case("constexpr_sparse_to_dense", {}),
)


@pytest.mark.parametrize(("numerics", "kept"), [("fast", True), ("faithful", False)])
def test_matrices_of_bytes_stay_compressed(numerics: str, kept: bool) -> None:
    """A linear layer of int8 weights with a scale per row. Oracle: NumPy."""
    data = integers(-128, 128, 32, 16).astype(np.int8)
    scale = uniform(0.01, 0.02, 32, 1).astype(np.float32)
    x = normal(2, 16)

    def build(v: Any) -> Any:
        mil = mil_builder()
        weight = mil.constexpr_blockwise_shift_scale(data=data, scale=scale)
        return mil.linear(x=v, weight=weight)

    program = to_program(mil_function({"x": x}, build, "iOS18"), "iOS18")
    model, _ = translate(program.functions["main"], numerics=numerics)
    stored = {
        str(node.get_element_type())
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and tuple(node.get_output_shape(0)) == data.shape
    }
    assert any("int8" in name for name in stored) == kept
    session = compile_function(program, threads=1, numerics=numerics)
    (found,) = session.run({"x": x}).values()
    np.testing.assert_allclose(found, x @ (data * scale).T, 1e-5, 1e-5)


def test_weights_that_no_kernel_reads_are_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packing looks at the dense weights, and refuses these, which are few; then they are built."""
    calls = []

    def counted(*operands: Any) -> Any:
        calls.append(operands)
        return expand(*operands)

    expand = compression._shift_scale
    monkeypatch.setattr(compression, "_shift_scale", counted)
    scale = uniform(0.01, 0.02, 32, 4).astype(np.float32)

    def build(v: Any) -> Any:
        mil = mil_builder()
        data = integers(-128, 128, 32, 16).astype(np.int8)
        weight = mil.constexpr_blockwise_shift_scale(data=data, scale=scale)
        return mil.linear(x=v, weight=weight)

    program = to_program(mil_function({"x": normal(2, 16)}, build, "iOS18"), "iOS18")
    translate(program.functions["main"], uses_kernels=True)
    assert len(calls) == 1


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("scales", "offsets", "axis", "kept"),
    [((), (), 0, True), ((128,), (128,), 0, True), ((), (128,), 0, True), ((), (256,), 1, False)],
)
def test_affine_matrices_in_linear_layers(
    scales: tuple[int, ...],
    offsets: tuple[int, ...],
    axis: int,
    kept: bool,
    dtype: str,
    numerics: str,
) -> None:
    """A scale or a zero point may be one for all while the other is not. Oracle: NumPy."""
    low = np.iinfo(dtype).min
    data = integers(low, low + 256, 128, 256).astype(dtype)
    zero = np.asarray(integers(low, low + 256, *offsets)).astype(dtype)
    scale = np.asarray(uniform(0.01, 0.02, *scales)).astype(np.float16)
    shape = (-1, 1) if axis == 0 else (1, -1)
    shift = data.astype(np.float16) - zero.astype(np.float16).reshape(shape)
    weight = shift * scale.reshape(shape)
    x = normal(2, 256).astype(np.float16)

    def build(v: Any) -> Any:
        mil = mil_builder()
        dequantized = mil.constexpr_affine_dequantize(
            quantized_data=data, zero_point=zero[()], scale=scale[()], axis=axis
        )
        return mil.linear(x=v, weight=dequantized)

    program = to_program(mil_function({"x": x}, build, "iOS17"), "iOS17")
    model, _ = translate(program.functions["main"], numerics=numerics, uses_kernels=True)
    nbytes = max(
        node.get_byte_size() for node in model.get_ops() if node.get_type_name() == "Constant"
    )
    assert (nbytes == data.nbytes) == kept
    (found,) = compile_function(program, threads=1, numerics=numerics).run({"x": x}).values()
    truth = x.astype(np.float64) @ weight.astype(np.float64).T
    np.testing.assert_allclose(found, truth, 2e-3, 2e-2)
