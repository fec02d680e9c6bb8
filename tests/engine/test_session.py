"""Sessions and requests: binding without copies, refusals, borders of every kind. Oracle: NumPy."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etcoreml.engine import Session, compile_function
from etcoreml.errors import (
    DeviceError,
    DtypeError,
    EngineError,
    ModelError,
    OptionError,
    ShapeError,
    UnsupportedOpError,
    UsageError,
)
from etcoreml.types import BOOL, FP16, FP32, INT32
from tests.cases import mil_builder, mil_function, normal, to_program


def _session(
    inputs: dict[str, Any], build: Callable[..., Any], varies: bool = False, **options: Any
) -> Session:
    program = to_program(mil_function(inputs, build, "iOS17", varies), "iOS17")
    return compile_function(program, **options)


def _adder(dtype: Any = np.float32, varies: bool = False, **options: Any) -> Session:
    zeros = np.zeros((2, 3), dtype)
    return _session(
        {"x": zeros, "y": zeros},
        lambda x, y: mil_builder().add(x=x, y=y, name="total"),
        varies,
        **options,
    )


def test_ports_are_in_program_order_with_declared_types() -> None:
    session = _adder(np.float16)
    assert [(p.name, p.dtype, p.shape) for p in session.inputs] == [
        ("x", FP16, (2, 3)),
        ("y", FP16, (2, 3)),
    ]
    assert [(p.name, p.dtype, p.shape) for p in session.outputs] == [("total", FP16, (2, 3))]
    assert session.devices[-1] == "CPU"


def _there_and_back(x: Any) -> Any:
    builder = mil_builder()
    turned = builder.transpose(x=x, perm=[1, 0])
    return builder.transpose(x=turned, perm=[1, 0], name="same")


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
@pytest.mark.parametrize(
    "build", [lambda x: mil_builder().identity(x=x, name="same"), _there_and_back]
)
def test_an_input_that_is_returned_is_copied(build: Any, dtype: Any, varies: bool) -> None:
    request = _session({"x": np.zeros((2, 3), dtype)}, build, varies).create_request()
    x = np.arange(1, 7, dtype=dtype).reshape(2, 3)
    request.set_input(0, x)
    if not varies:
        request.set_output(0, np.zeros((2, 3), dtype))
    request.infer()
    np.testing.assert_array_equal(request.output(0), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
def test_bound_arrays_are_read_and_written_in_place(dtype: Any) -> None:
    request = _adder(dtype).create_request()
    x, y = np.ones((2, 3), dtype), np.full((2, 3), 2, dtype)
    out = np.zeros((2, 3), dtype)
    request.set_input(0, x)
    request.set_input(1, y)
    request.set_output(0, out)
    request.infer()
    np.testing.assert_array_equal(out, 3)
    x[:] = 10
    request.infer()
    np.testing.assert_array_equal(out, 12)
    assert request.output(0).ctypes.data == out.ctypes.data


def test_an_output_can_be_bound_elsewhere_and_released() -> None:
    request = _adder().create_request()
    ones = np.ones((2, 3), np.float32)
    first, second = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    request.set_input(0, ones)
    request.set_input(1, ones)
    request.set_output(0, first)
    request.infer()
    request.set_output(0, second)
    request.set_input(1, ones * 4)
    request.infer()
    request.release_output(0)
    request.set_input(1, ones * 9)
    request.infer()
    np.testing.assert_array_equal(first, 2)
    np.testing.assert_array_equal(second, 5)
    np.testing.assert_array_equal(request.output(0), 10)


def test_a_read_only_input_is_bound_and_left_alone() -> None:
    request = _adder().create_request()
    x = normal(2, 3)
    x.flags.writeable = False
    request.set_input(0, x)
    request.set_input(1, x)
    request.infer()
    np.testing.assert_array_equal(request.output(0), x + x)
    assert not x.flags.writeable


def test_the_request_keeps_what_it_reads_alive() -> None:
    request = _adder().create_request()
    request.set_input(0, np.full((2, 3), 7, np.float32))
    request.set_input(1, np.full((2, 3), 5, np.float32))
    clutter = [np.zeros((2, 3), np.float32) for _ in range(1000)]
    request.infer()
    np.testing.assert_array_equal(request.output(0), 12)
    assert len(clutter) == 1000


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((2, 3), np.float64), DtypeError, "'x'; found fp64; expected fp32"),
        (np.zeros((3, 2), np.float32), ShapeError, r"'x'; found shape \(3, 2\); expected shape"),
        (np.zeros(6, np.float32), ShapeError, "'x'"),
        (np.zeros((3, 2), np.float32).T, ShapeError, "not C-contiguous"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(
    array: Any, error: type[EngineError], words: str
) -> None:
    session = _adder()
    with pytest.raises(error, match=words):
        session.create_request().set_input(0, array)
    with pytest.raises(error):
        session.create_request().set_output(0, array)


def test_outputs_that_cannot_be_bound_are_refused() -> None:
    read_only = np.zeros((2, 3), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(UsageError, match="read-only"):
        _adder().create_request().set_output(0, read_only)
    with pytest.raises(ShapeError, match="varies"):
        _adder(varies=True).create_request().set_output(0, np.zeros((2, 3), np.float32))


def test_run_names_inputs_and_refuses_others() -> None:
    session = _adder()
    x = normal(2, 3)
    np.testing.assert_array_equal(session.run({"y": x, "x": x})["total"], x + x)
    np.testing.assert_array_equal(session.run({"x": x.T.copy().T, "y": x})["total"], x + x)
    with pytest.raises(UsageError, match="'z'"):
        session.run({"x": x, "z": x})
    with pytest.raises(DtypeError, match="found int32; expected fp32"):
        session.run({"x": x.astype(np.int32), "y": x})


def test_rank_0_and_bool_and_int32_borders() -> None:
    session = _session(
        {"x": np.float32(0), "flag": np.bool_(False), "count": np.zeros(3, np.int32)},
        lambda x, flag, count: (
            mil_builder().mul(x=x, y=np.float32(2), name="double"),
            mil_builder().logical_not(x=flag, name="negated"),
            mil_builder().add(x=count, y=np.int32(1), name="next"),
        ),
    )
    assert [(p.dtype, p.shape) for p in session.inputs] == [(FP32, ()), (BOOL, ()), (INT32, (3,))]
    assert [(p.dtype, p.shape) for p in session.outputs] == [(FP32, ()), (BOOL, ()), (INT32, (3,))]
    request = session.create_request()
    out = np.zeros((), np.float32)
    request.set_input(0, np.array(1.5, np.float32))
    request.set_input(1, np.array(True))
    request.set_input(2, np.array([1, 2, 2**31 - 2], np.int32))
    request.set_output(0, out)
    request.infer()
    assert out == 3
    assert request.output(1).dtype == np.bool_
    assert not request.output(1)
    np.testing.assert_array_equal(request.output(2), [2, 3, 2**31 - 1])


def test_shapes_may_vary_between_runs() -> None:
    session = _adder(varies=True)
    assert session.inputs[0].shape == (None, None)
    request = session.create_request()
    for shape in ((2, 3), (5, 1), (1, 7), (0, 4)):
        x = normal(*shape)
        request.set_input(0, x)
        request.set_input(1, x)
        request.infer()
        np.testing.assert_array_equal(request.output(0), x + x)
    with pytest.raises(ShapeError, match=r"expected shape \(\?, \?\)"):
        request.set_input(0, normal(3))


def test_an_input_may_be_an_output_and_a_constant_may_be_one() -> None:
    session = _session(
        {"x": np.zeros(3, np.float16)},
        lambda x: (
            mil_builder().identity(x=x, name="same"),
            mil_builder().const(val=np.arange(4, dtype=np.int32), name="fixed"),
        ),
    )
    x = np.array([1, 65504, np.inf], np.float16)
    results = session.run({"x": x})
    np.testing.assert_array_equal(results["same"], x)
    np.testing.assert_array_equal(results["fixed"], np.arange(4))


def test_threads_may_share_a_session() -> None:
    session = _adder(threads=1)
    failures: list[str] = []

    def work(number: int) -> None:
        request = session.create_request()
        x = np.full((2, 3), number, np.float32)
        request.set_input(0, x)
        request.set_input(1, x)
        for _ in range(200):
            request.infer()
            if not np.array_equal(request.output(0), x + x):
                failures.append(f"thread {number}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_profile_names_mil_values() -> None:
    session = _session(
        {"x": normal(1, 3, 8, 8)},
        lambda x: mil_builder().softmax(
            x=mil_builder().conv(x=x, weight=normal(4, 3, 3, 3), name="first"), name="second"
        ),
        profiling=True,
    )
    request = session.create_request()
    request.set_input(0, normal(1, 3, 8, 8))
    request.infer()
    times = request.profile()
    assert {"first", "second"} <= {time.name.partition("/")[0] for time in times}
    assert all(time.duration_ns >= 0 for time in times)
    assert "first" in session.fused["first"]
    with pytest.raises(EngineError, match="profiling"):
        _adder().create_request().profile()


def test_compile_refuses_what_does_not_exist() -> None:
    with pytest.raises(DeviceError, match="cpu_only"):
        _adder(compute_unit="CPU_ONLY")
    with pytest.raises(ModelError, match="'forward'"):
        _adder(function="forward")
    with pytest.raises(UsageError, match="threads"):
        _adder(threads=0)


@pytest.mark.parametrize("threads", ["2", 1.5, True, 0, -1, 2**31])
def test_a_number_of_threads_that_is_none(threads: Any) -> None:
    with pytest.raises(
        OptionError, match=re.escape(f"threads must be positive; found {threads!r}")
    ):
        _adder(threads=threads)


def test_threads_of_numpy() -> None:
    assert _adder(threads=np.int64(1)).outputs


def test_an_option_out_of_reach_names_op_value_and_alternatives() -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        _session(
            {"x": normal(1, 2, 4, 4)},
            lambda x: mil_builder().upsample_bilinear(
                x=x, align_corners=True, half_pixel_centers=True, name="bigger"
            ),
        )
    for word in ("upsample_bilinear", "bigger", "half_pixel_centers", "found True", "False"):
        assert word in str(caught.value)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("varies", [False, True])
def test_a_run_that_fails_says_so_and_the_next_one_runs(varies: bool, threads: int) -> None:
    """With one thread OpenVINO 2026.4 returns the outputs of the run before instead."""
    x, good = normal(2000, 3), np.zeros(5, np.int32)
    session = _session(
        {"x": x, "indices": good},
        lambda x, indices: mil_builder().gather(
            x=mil_builder().relu(x=x), indices=indices, validate_indices=True, name="taken"
        ),
        varies,
        threads=threads,
    )
    truth = np.maximum(x, 0)[good]
    np.testing.assert_array_equal(session.run({"x": x, "indices": good})["taken"], truth)
    with pytest.raises(EngineError, match="'main' failed while it ran; found Node taken/validate"):
        session.run({"x": x, "indices": good + 2000})
    np.testing.assert_array_equal(session.run({"x": x, "indices": good})["taken"], truth)


@pytest.mark.parametrize("threads", [1, 2])
def test_sizes_that_do_not_go_together_are_an_error(threads: int) -> None:
    session = _adder(varies=True, threads=threads)
    x, y = np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)
    session.run({"x": x, "y": x})
    with pytest.raises(EngineError, match="'main' failed while it ran"):
        session.run({"x": x, "y": y})
    np.testing.assert_array_equal(session.run({"x": y, "y": y})["total"], y + y)


@pytest.mark.parametrize("varies", [False, True])
def test_infer_alone_keeps_its_session_and_arrays(varies: bool) -> None:
    """A session may own the file that the compiled model reads. Varying sizes are run in parts."""
    session = _adder(varies=varies, threads=1)
    held = weakref.ref(session)
    request = session.create_request()
    for index in range(2):
        request.set_input(index, np.full((2, 3), 7, np.float32))
    out = np.zeros((2, 3), np.float32)
    if not varies:
        request.set_output(0, out)
    infer = request.infer
    del session, request
    gc.collect()
    assert held() is not None
    infer()
    if not varies:
        np.testing.assert_array_equal(out, 14)
    del infer
    gc.collect()
    assert held() is None
