"""Linear layers on stored weights, in each instruction set of this CPU. Oracle: NumPy, float64."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as op

from etcoreml.engine import Session, compile_function, kernels
from etcoreml.engine import compile as compiling
from etcoreml.engine.fork import core
from etcoreml.mil.program import Array, Constant, TensorType
from etcoreml.types import BY_NAME
from tests.cases import (
    integers,
    mil_builder,
    mil_function,
    normal,
    packed,
    to_program,
    uniform,
)

pytestmark = pytest.mark.skipif(
    kernels.instruction_set() is None, reason="no kernels for this OpenVINO or this CPU"
)

# Rows of x, columns, rows of W: all ends of tiles, of blocks of rows and columns, and of panels and
# tasks of outputs. Rows of 512 and 1024 columns would share cache sets and are copied.
SHAPES = (
    (0, 7, 5),
    (1, 1, 1),
    (1, 256, 70),
    (1, 33, 330),
    (2, 16, 3),
    (2, 5, 160),
    (3, 127, 9),
    (3, 20, 64),
    (4, 128, 8),
    (4, 31, 129),
    (5, 40, 32),
    (7, 129, 17),
    (12, 785, 31),
    (13, 1024, 64),
    (16, 65, 33),
    (17, 333, 101),
    (33, 900, 13),
    (64, 768, 97),
    (257, 130, 30),
    (300, 512, 300),
    (515, 7, 40),
)


def compiled(
    shape: tuple[int, ...], weight: kernels.Packed | None, bias: Array | None, varies: bool = False
) -> ov.CompiledModel:
    """Compile one layer."""
    assert weight is not None
    x = op.parameter([-1] * len(shape) if varies else list(shape), ov.Type.f32)
    addend = None if bias is None else op.constant(bias).output(0)
    node = kernels.linear(x.output(0), weight, addend)
    model = ov.Model([op.result(node)], [x], "layer")
    return core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
    )


def multiply(
    x: Array, weight: kernels.Packed | None, bias: Array | None = None, varies: bool = False
) -> Array:
    """Compute one layer."""
    request = compiled(x.shape, weight, bias, varies).create_infer_request()
    request.infer([x])
    return np.array(request.get_output_tensor(0).data)


def check(found: Array, x: Array, weight: Array, bias: Array | None = None) -> None:
    """Hold a product to the error that any order of summation in f32 keeps."""
    wide, dense = x.astype(np.float64), weight.astype(np.float64)
    exact = wide @ dense.T + (0 if bias is None else bias)
    terms = np.abs(wide) @ np.abs(dense).T + (0 if bias is None else np.abs(bias))
    assert found.shape == exact.shape
    assert np.all(np.abs(found - exact) <= (weight.shape[1] + 3) * 2.0**-24 * terms)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("any_set")
def test_half(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    x, bias = normal(m, k), normal(n, seed=2)
    weight = normal(n, k, seed=1).astype(np.float16)
    check(multiply(x, kernels.pack_half(weight), bias), x, weight, bias)


@pytest.mark.parametrize("shape", [(70,), (1, 70), (2, 0, 70), (2, 3, 1, 70)], ids=str)
@pytest.mark.usefixtures("any_set")
def test_half_of_any_rank(shape: tuple[int, ...]) -> None:
    x, weight = normal(*shape), normal(9, 70, seed=1).astype(np.float16)
    check(multiply(x, kernels.pack_half(weight)), x, weight)


@pytest.mark.usefixtures("any_set")
def test_rows_vary() -> None:
    """One compiled layer goes from the arithmetic of few rows to that of many and back."""
    weight = normal(50, 200, seed=1).astype(np.float16)
    request = compiled((1, 200), kernels.pack_half(weight), None, varies=True)
    request = request.create_infer_request()
    for rows in (1, 40, 0, 5, 300, 1):
        x = normal(rows, 200, seed=rows)
        request.infer([x])
        check(request.get_output_tensor(0).data, x, weight)


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.usefixtures("any_set")
def test_every_half(rows: int) -> None:
    """Every fp16 number, subnormal, infinite and nan ones too, is read exactly."""
    weight = np.arange(2**16, dtype=np.uint16).view(np.float16)[:, None]
    found = multiply(np.ones((rows, 1), np.float32), kernels.pack_half(weight))
    with np.errstate(invalid="ignore"):
        expected = np.repeat(weight.astype(np.float32).T, rows, 0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 128])
@pytest.mark.usefixtures("any_set")
def test_every_finite_half_in_whole_vectors(rows: int) -> None:
    """The identity picks columns: no rounding anywhere."""
    bits = np.arange(2**16, dtype=np.uint16).reshape(512, 128)
    weight = np.where(bits & 0x7C00 == 0x7C00, 1, bits).astype(np.uint16).view(np.float16)
    found = multiply(np.eye(128, dtype=np.float32)[:rows], kernels.pack_half(weight))
    np.testing.assert_array_equal(found, weight.astype(np.float32).T[:rows])


@pytest.mark.parametrize("rows", [2, 40])
@pytest.mark.usefixtures("any_set")
def test_values_that_are_no_numbers(rows: int) -> None:
    """Infinite and nan inputs and weights reach their own rows and columns only."""
    x, weight = normal(rows, 300), normal(20, 300, seed=1).astype(np.float16)
    x[0, 3], x[1, 299] = np.inf, np.nan
    weight[5, 299], weight[7, 0] = -np.inf, np.nan
    found = multiply(x, kernels.pack_half(weight))
    with np.errstate(invalid="ignore"):
        expected = x.astype(np.float64) @ weight.astype(np.float64).T
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(found[infinite], expected[infinite])
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], 1e-4, 1e-4)


def stored(values: Array, dtype: str) -> Constant:
    """Store a matrix as a weight file does, the first element in the lowest bits."""
    type_ = BY_NAME[dtype]
    if not type_.is_packed:
        return Constant(TensorType(type_, values.shape), values)
    bits = (values.reshape(-1, 1).astype(np.uint8) >> np.arange(type_.bits)) & 1
    data = np.packbits(bits.reshape(-1).astype(np.uint8), bitorder="little")
    constant = Constant(TensorType(type_, values.shape), data)
    np.testing.assert_array_equal(constant.unpack(), values)
    return constant


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 40])
@pytest.mark.parametrize(
    ("columns", "blocks"), [(256, 32), (256, 8), (256, 2), (384, 1), (384, 3), (520, 5), (33, 1)]
)
@pytest.mark.usefixtures("any_set")
def test_int4_blocks(rows: int, columns: int, blocks: int) -> None:
    x, data = normal(rows, columns), integers(-8, 8, 37, columns).astype(np.int8)
    scale = uniform(0.01, 0.1, 37, blocks)
    weight = data * np.repeat(scale, columns // blocks, 1).astype(np.float64)
    check(multiply(x, kernels.pack_blocks(stored(data, "int4"), scale, None, False)), x, weight)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan, 1e35, -1e37, 1e-35, 1e-42, 0.0])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.usefixtures("any_set")
def test_int4_of_extreme_numbers(rows: int, special: float) -> None:
    """Numbers that are none or far from 1; blocks of nothing but zeros, or of tiny numbers."""
    x, data = normal(rows, 128), integers(-8, 8, 64, 128).astype(np.int8)
    data[data == 0] = 1  # zero times infinity is a matter of the order
    x[0, 40] = special
    x[-1, 64:96] = min(abs(special), 1e-36)
    scale = uniform(0.01, 0.1, 64, 4)
    weight = data * np.repeat(scale, 32, 1).astype(np.float64)
    found = multiply(x, kernels.pack_blocks(stored(data, "int4"), scale, None, False))
    if np.isfinite(special):
        check(found, x, weight)
        return
    expected = x.astype(np.float64) @ weight.T
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(found == np.inf, expected == np.inf)
    np.testing.assert_array_equal(found == -np.inf, expected == -np.inf)


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize(
    ("columns", "scales"),
    [(256, (37, 8)), (160, (37, 5)), (160, (1, 10)), (33, (37, 1)), (129, (1, 1))],
)
@pytest.mark.parametrize("dtype", ["uint4", "uint8"])
@pytest.mark.usefixtures("any_set")
def test_blocks_with_offsets(dtype: str, rows: int, columns: int, scales: tuple[int, int]) -> None:
    """Also rows that are no whole words, and one scale for all rows."""
    most = 2 ** BY_NAME[dtype].bits
    x, data = normal(rows, columns), integers(0, most, 37, columns).astype(np.uint8)
    scale, offset = uniform(0.01, 0.1, *scales), integers(0, most, *scales).astype(np.uint8)
    size = columns // scales[1]
    wide = data - np.repeat(offset.astype(np.float64), size, 1)
    weight = np.repeat(scale, size, 1) * wide
    found = kernels.pack_blocks(stored(data, dtype), scale, offset, False)
    check(multiply(x, found), x, weight)


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.usefixtures("any_set")
def test_bytes(dtype: str, rows: int) -> None:
    first = -128 if dtype == "int8" else 0
    data = integers(first, first + 256, 70, 128).astype(dtype)
    x, scale = normal(rows, 128), uniform(0.01, 0.1, 70, 4)
    weight = data * np.repeat(scale, 32, 1).astype(np.float64)
    packed_ = kernels.pack_blocks(stored(data, dtype), scale, None, False)
    check(multiply(x, packed_), x, weight)


# Normal, subnormal, to be rounded to those, too large for the larger numbers, and none at all. As
# many vectors of normal ones as are computed at once come first, and are rounded another way than
# those with others among them.
NORMAL_SCALES = [*np.geomspace(2.0**-14, 128, 95), 250]
SCALES = np.array(
    [*NORMAL_SCALES, 0, -0.3, 6.1e-5, 1.7e-5, 2.0**-24, 3.3e-7, 5000, 65504, np.inf, np.nan],
    np.float16,
)


@pytest.mark.parametrize("rows", ["few", "many"])
@pytest.mark.parametrize("offset", [None, -3])
@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
@pytest.mark.usefixtures("any_set")
def test_rounded_weights(dtype: str, offset: int | None, rows: str) -> None:
    """Bit for bit what NumPy makes of every number and scale: the identity picks columns."""
    type_ = BY_NAME[dtype]
    first = -(2 ** (type_.bits - 1)) if dtype.startswith("int") else 0
    count = len(SCALES)
    numbers = np.arange(first, first + 2**type_.bits)
    data = np.repeat(numbers[None], count, 0).astype(np.uint8 if first == 0 else np.int8)
    scale = SCALES[:, None]
    shift = None if offset is None else np.full((count, 1), offset, np.int8)
    packed_ = kernels.pack_blocks(stored(data, dtype), scale, shift, True)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = (data.astype(np.float16) - np.float16(offset or 0)) * scale
        # One number of a block at a time, without the others' nan.
        one = np.eye(len(numbers), dtype=np.float32)
        step = len(numbers) if rows == "many" else 4
        found = np.concatenate(
            [multiply(one[i : i + step], packed_) for i in range(0, len(numbers), step)]
        )
    finite = np.isfinite(expected).all(1)
    assert finite.sum() >= count - 4
    np.testing.assert_array_equal(found.T[finite], expected[finite].astype(np.float32))
    # 0 * inf is nan in every other column.
    assert not np.isfinite(found.T[~finite]).all(1).any()


@pytest.mark.parametrize("dtype", ["int4", "int8"])
@pytest.mark.usefixtures("any_set")
def test_rounded_weights_that_overflow(dtype: str) -> None:
    """A row of its own for each number, so that infinite ones stay apart."""
    type_ = BY_NAME[dtype]
    numbers = np.arange(-(2 ** (type_.bits - 1)), 2 ** (type_.bits - 1)).astype(np.int8)
    for scale in (np.float16(65504), np.float16(9000), np.float16(511.75), np.float16(-1e4)):
        factor = np.full((1, 1), scale, np.float16)
        packed_ = kernels.pack_blocks(stored(numbers[:, None], dtype), factor, None, True)
        with np.errstate(over="ignore"):
            expected = numbers.astype(np.float16) * scale
        for rows in (1, 8):
            found = multiply(np.ones((rows, 1), np.float32), packed_)
            np.testing.assert_array_equal(found, np.repeat(expected[None], rows, 0))


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("columns", [256, 100])
@pytest.mark.parametrize(
    ("dtype", "tables"), [("uint4", 1), ("uint4", 6), ("uint2", 3), ("uint3", 1)]
)
@pytest.mark.usefixtures("any_set")
def test_tables(rows: int, columns: int, dtype: str, tables: int) -> None:
    count = 2 ** BY_NAME[dtype].bits
    x, indices = normal(rows, columns), integers(0, count, 96, columns).astype(np.uint8)
    table = normal(tables, 1, count, 1, seed=3).astype(np.float16)
    per_row = np.repeat(table[:, 0, :, 0], 96 // tables, 0)
    weight = np.take_along_axis(per_row, indices.astype(np.int64), 1)
    check(multiply(x, kernels.pack_table(stored(indices, dtype), table)), x, weight)


@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.usefixtures("any_set")
def test_tables_of_no_numbers(rows: int) -> None:
    """What fills up words and panels meets neither infinity nor nan of the table."""
    table = np.array([np.inf, np.nan, 1, 2] + 12 * [np.nan], np.float16).reshape(1, 1, 16, 1)
    indices = integers(2, 4, 37, 61).astype(np.uint8)
    x, weight = normal(rows, 61), indices - 1.0
    check(multiply(x, kernels.pack_table(stored(indices, "uint4"), table)), x, weight)


def test_what_the_kernels_leave_to_others() -> None:
    """Small, of other dtypes or block sizes, or with tables for fewer rows than a vector has."""
    half = np.ones((128, 128), np.float16)
    assert kernels.pack_half(half) is not None
    assert kernels.pack_half(half[:100]) is None
    assert kernels.pack_half(half.astype(np.float32)) is None
    assert kernels.pack_half(half[None]) is None
    data = stored(np.zeros((128, 144), np.uint8), "uint4")
    scale = np.ones((128, 12), np.float16)
    assert kernels.pack_blocks(data, scale[:, :1], None, False) is not None
    assert kernels.pack_blocks(data, scale[:, :6], None, False) is not None
    assert kernels.pack_blocks(data, scale, None, False) is None
    assert kernels.pack_blocks(data, scale[:64, :1], None, False) is None
    table = np.zeros((8, 1, 16, 1), np.float16)
    assert kernels.pack_table(data, table) is not None
    assert kernels.pack_table(data, np.repeat(table, 2, 0)) is None
    assert kernels.pack_table(data, np.repeat(table, 2, 1)) is None
    assert kernels.pack_table(data, np.repeat(table, 2, 3)) is None


def test_packed_weights_take_no_more_memory() -> None:
    weight = normal(128, 256).astype(np.float16)
    found = kernels.pack_half(weight)
    assert found is not None
    assert found.data.nbytes == weight.nbytes
    four_bits = stored(integers(0, 16, 128, 256).astype(np.uint8), "uint4")
    found = kernels.pack_blocks(four_bits, np.ones((1, 1), np.float16), None, False)
    assert found is not None
    assert isinstance(four_bits.data, np.ndarray)
    assert found.data.nbytes == four_bits.data.nbytes


def test_compiled_layers_are_exported() -> None:
    """A core that knows the operation imports it, with its attributes."""
    x, data = normal(3, 256), integers(0, 16, 64, 256).astype(np.uint8)
    weight = kernels.pack_blocks(
        stored(data, "uint4"), uniform(0.1, 1, 64, 8), np.full((64, 8), 7, np.uint8), True
    )
    layer = compiled(x.shape, weight, None)
    blob = layer.export_model()
    again = core().import_model(io.BytesIO(blob.getvalue()), "CPU")
    np.testing.assert_array_equal(again([x])[0], layer([x])[0])


# The whole engine.

INPUT = normal(3, 192)


def program(precision: Any = np.float16, **weights: Any) -> Any:
    """A linear layer of 128 outputs; ``weights`` are operands of blockwise weights, or none."""

    def build(v: Any) -> Any:
        mil = mil_builder()
        if weights:
            weight = mil.constexpr_blockwise_shift_scale(**weights)
        else:
            weight = (normal(128, 192, seed=1) / 8).astype(precision)
        bias = normal(128, seed=2).astype(precision)
        return mil.relu(x=mil.linear(x=v, weight=weight, bias=bias, name="layer"))

    inputs = {"x": INPUT.astype(precision)}
    return to_program(mil_function(inputs, build, "iOS18"), "iOS18")


def run(program_: Any, **options: Any) -> tuple[Array, Session]:
    """Run a program on its input."""
    session = compile_function(program_, compute_unit="cpu_only", threads=1, **options)
    x = INPUT.astype(session.inputs[0].dtype.storage)
    (found,) = session.run({"x": x}).values()
    return found, session


def kinds(session: Session) -> dict[str, str]:
    """The kernels of a session by name."""
    request = session.create_request()
    request.set_input(0, INPUT.astype(session.inputs[0].dtype.storage))
    request.infer()
    return {each.name: each.kind for each in request.profile()}


INT4 = {
    "data": packed("int4", integers(-8, 8, 128, 192)),
    "scale": uniform(0.01, 0.1, 128, 6).astype(np.float16),
}
INT8 = {
    "data": integers(-128, 128, 128, 192).astype(np.int8),
    "scale": (uniform(0.01, 0.1, 128, 1) / 16).astype(np.float16),
}


@pytest.mark.parametrize("weights", [{}, INT4, INT8], ids=["fp16", "int4", "int8"])
@pytest.mark.parametrize("numerics", ["fast", "faithful"])
@pytest.mark.parametrize("has_kernels", [True, False])
def test_with_and_without_kernels(
    has_kernels: bool, numerics: str, weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways are right up to one rounding of weights to fp16 and one of the result."""
    if not has_kernels:
        monkeypatch.setattr(compiling, "instruction_set", lambda: None)
    found, session = run(program(**weights), numerics=numerics, profiling=True)
    # The kernel bears the MIL name, as a part where rounding follows.
    kernel = {"fast": "layer", "faithful": "layer/CompressedLinear"}[numerics]
    assert (kinds(session).get(kernel) == "Reference") == has_kernels
    weight, bias = (normal(128, 192, seed=1) / 8).astype(np.float16), normal(128, seed=2)
    if weights:
        scale = weights["scale"].astype(np.float64)
        weight = weights["data"].astype(np.float64) * np.repeat(scale, 192 // scale.shape[1], 1)
    x, dense = INPUT.astype(np.float16).astype(np.float64), weight.astype(np.float64)
    exact = x @ dense.T + bias.astype(np.float16)
    error = np.abs(found - np.maximum(exact, 0))
    assert np.all(error <= 2.0**-11 * (np.abs(x) @ np.abs(dense).T + np.abs(exact)) + 1e-6)


def test_the_instruction_set_is_the_one_in_use(any_set: str) -> None:
    """It is part of what compiled models are cached under."""
    assert kernels.instruction_set() == any_set


def test_fp32_programs_are_left_alone() -> None:
    _, session = run(program(np.float32), profiling=True)
    assert "Reference" not in kinds(session).values()


def test_requests_of_several_threads() -> None:
    """Scratch memory belongs to a thread."""
    expected, session = run(program())
    failures: list[int] = []

    def work(number: int) -> None:
        request = session.create_request()
        request.set_input(0, INPUT.astype(np.float16))
        for _ in range(200):
            request.infer()
            if not np.array_equal(request.output(0), expected):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


FORK = """
import os, sys
import numpy as np
from etcoreml.engine import compile_function
from tests.engine.test_kernels import INPUT, program
x = INPUT.astype(np.float16)
session = compile_function(program(), threads=2)
(before,) = session.run({"x": x}).values()
pid = os.fork()
if pid == 0:
    (again,) = session.run({"x": x}).values()
    (fresh,) = compile_function(program(), threads=2).run({"x": x}).values()
    sys.exit(0 if np.array_equal(before, again) and np.array_equal(before, fresh) else 3)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_fork() -> None:
    """In a subprocess, because a failure is a hang: the timeout is the assertion."""
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
