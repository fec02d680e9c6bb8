"""Arguments bound to a request: what is shared, converted and refused.

Oracles: NumPy's casts; identity of memory where no copy may be made. The request is a fake.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.engine import Port
from etcoreml.errors import DelegateError, DtypeError, PackageError, ShapeError
from etcoreml.runtime.binding import BoundMethod
from etcoreml.runtime.metadata import MethodMetadata
from etcoreml.types import BY_NAME, BY_NUMPY

Array = np.ndarray[Any, np.dtype[Any]]


class View:
    """A tensor as the bridge lends it."""

    def __init__(
        self, array: Array, scalar_type: int | None = None, capacity: int | None = None
    ) -> None:
        self.array = array
        self.scalar_type = BY_NUMPY[array.dtype].executorch if scalar_type is None else scalar_type
        self._capacity = array.size if capacity is None else capacity

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def resize(self, shape: tuple[int, ...]) -> None:
        if np.prod(shape) > self._capacity:
            raise ValueError("too large")
        self.array = np.resize(self.array, shape)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.array


class FakeRequest:
    """Copies its input to its output, or adds one, without an engine."""

    def __init__(self, ports: int) -> None:
        self.inputs: dict[int, Array] = {}
        self.outputs: dict[int, Array] = {}
        self.own: dict[int, Array] = {}
        self.released: list[int] = []
        self.result: Array | None = None

    def set_input(self, index: int, array: Array) -> None:
        self.inputs[index] = array

    def set_output(self, index: int, array: Array) -> None:
        self.outputs[index] = array

    def release_output(self, index: int) -> None:
        self.released.append(index)
        self.outputs.pop(index, None)

    def output(self, index: int) -> Array:
        return self.own[index]

    def infer(self) -> None:
        value = self.inputs[0] + np.ones((), self.inputs[0].dtype)
        if 0 in self.outputs:
            self.outputs[0][...] = value
        else:
            self.own[0] = value if self.result is None else self.result


class FakeSession:
    def __init__(self, inputs: list[Port], outputs: list[Port]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.request = FakeRequest(len(outputs))

    def create_request(self) -> FakeRequest:
        return self.request


def port(name: str, dtype: str, *shape: int | None) -> Port:
    return Port(name, BY_NAME[dtype], shape)


def bound(source: Port, target: Port) -> tuple[BoundMethod, FakeRequest]:
    session = FakeSession([source], [target])
    metadata = MethodMetadata((source.name,), (target.name,))
    return BoundMethod(session, metadata), session.request  # type: ignore[arg-type]


def test_matching_arguments_are_shared() -> None:
    method, request = bound(port("x", "fp32", 2, 3), port("y", "fp32", 2, 3))
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((2, 3), np.float32)
    assert method.bind((View(x), View(y)))  # may be repeated
    assert request.inputs[0] is x
    assert request.outputs[0] is y
    assert method.run == request.infer  # no Python frame of ours in between
    method.run()
    np.testing.assert_array_equal(y, x + 1)
    x[:] = 7  # the same memory, other numbers
    method.run()
    np.testing.assert_array_equal(y, np.full((2, 3), 8))


@pytest.mark.parametrize(
    ("given", "declared"),
    [("int64", "int32"), ("float32", "fp16"), ("bool", "fp32"), ("int32", "fp32"), ("u1", "int32")],
)
def test_other_dtypes_are_converted_at_each_run(given: str, declared: str) -> None:
    method, request = bound(port("x", declared, 3), port("y", declared, 3))
    x, y = np.array([0, 1, 1]).astype(given), np.zeros(3, given)
    assert method.bind((View(x), View(y)))
    method.run()
    assert request.inputs[0].dtype == BY_NAME[declared].storage
    np.testing.assert_array_equal(y, (x.astype(declared_numpy(declared)) + 1).astype(given))
    x[:] = 0
    method.run()
    np.testing.assert_array_equal(y, np.ones(3, given))


def declared_numpy(name: str) -> np.dtype[Any]:
    return BY_NAME[name].storage


def test_non_contiguous_arguments_are_copied() -> None:
    method, request = bound(port("x", "fp32", 2, 3), port("y", "fp32", 2, 3))
    x = np.arange(6, dtype=np.float32).reshape(3, 2).T
    y = np.zeros((3, 2), np.float32).T
    method.bind((View(x), View(y)))
    method.run()
    assert request.inputs[0].flags.c_contiguous
    np.testing.assert_array_equal(y, x + 1)


def test_scalars_are_wrapped() -> None:
    method, _ = bound(port("x", "fp32", 1), port("y", "fp32", 1))
    x, y = np.array(2.5, np.float32), np.zeros((), np.float32)
    method.bind((View(x), View(y)))
    method.run()
    assert y == 3.5


def test_metadata_gives_the_order() -> None:
    ports = [port("a", "fp32", 1), port("b", "fp32", 2)]
    session = FakeSession(ports, [port("y", "fp32", 1)])
    method = BoundMethod(session, MethodMetadata(("b", "a"), ("y",)))  # type: ignore[arg-type]
    b, a, y = (np.zeros(n, np.float32) for n in (2, 1, 1))
    method.bind((View(b), View(a), View(y)))
    assert session.request.inputs[0] is a
    assert session.request.inputs[1] is b


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind"),
    [((), ("y",), "inputs"), (("z",), ("y",), "inputs"), (("x",), ("y", "x"), "outputs")],
)
def test_metadata_that_disagrees(
    inputs: tuple[str, ...], outputs: tuple[str, ...], kind: str
) -> None:
    session = FakeSession([port("x", "fp32", 1)], [port("y", "fp32", 1)])
    with pytest.raises(PackageError, match=f"disagree on the {kind}"):
        BoundMethod(session, MethodMetadata(inputs, outputs))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 3, 0.5, True])
@pytest.mark.parametrize("position", [0, 1])
def test_arguments_that_are_no_tensors(value: object, position: int) -> None:
    method, _ = bound(port("x", "fp32", 1), port("y", "fp32", 1))
    arguments: list[Any] = [View(np.zeros(1, np.float32)), View(np.zeros(1, np.float32))]
    arguments[position] = value
    with pytest.raises(DelegateError, match=f"argument {position} .* is not a tensor") as caught:
        method.bind(tuple(arguments))
    assert caught.value.found == repr(value)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_number_of_arguments(count: int) -> None:
    method, _ = bound(port("x", "fp32", 1), port("y", "fp32", 1))
    with pytest.raises(DelegateError, match=f"found {count}; expected 1 inputs and 1 outputs"):
        method.bind(tuple(View(np.zeros(1, np.float32)) for _ in range(count)))


@pytest.mark.parametrize("shape", [(2, 4), (6,), (2, 3, 1), (), (0, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    method, _ = bound(port("x", "fp32", 2, 3), port("y", "fp32", 2, 3))
    good = View(np.zeros((2, 3), np.float32))
    for arguments, name in (
        ((View(np.zeros(shape, np.float32)), good), "x"),
        ((good, View(np.zeros(shape, np.float32))), "y"),
    ):
        with pytest.raises(ShapeError, match=f"tensor '{name}'") as caught:
            method.bind(arguments)
        assert caught.value.found == shape
        assert str(caught.value.expected) == "(2, 3)"


def test_fractions_are_not_cut_off() -> None:
    method, _ = bound(port("x", "int32", 2), port("y", "int32", 2))
    arguments = (View(np.zeros(2, np.float32)), View(np.zeros(2, np.int32)))
    with pytest.raises(DtypeError, match="tensor 'x'; found float32; expected int32"):
        method.bind(arguments)


def test_unknown_scalar_type() -> None:
    method, _ = bound(port("x", "fp32", 2), port("y", "fp32", 2))
    bfloat16 = View(np.zeros(2, np.uint16), scalar_type=15)
    with pytest.raises(DtypeError, match=r"input 'x' has a dtype .*ScalarType 15"):
        method.bind((bfloat16, View(np.zeros(2, np.float32))))


LOWEST, HIGHEST = -(2**31), 2**31 - 1


def test_the_range_of_int32() -> None:
    method, request = bound(port("x", "int32", 2), port("y", "int32", 2))
    x = np.array([LOWEST, HIGHEST - 1])
    method.bind((View(x), View(np.zeros(2, np.int64))))
    method.run()
    assert request.inputs[0].tolist() == [LOWEST, HIGHEST - 1]
    for value in (LOWEST - 1, HIGHEST + 1, 2**62):
        x[0] = value
        with pytest.raises(DtypeError, match="int32 cannot") as caught:
            method.run()
        assert str(value) in str(caught.value)


def test_empty_integers_have_no_range() -> None:
    method, _ = bound(port("x", "int32", 0), port("y", "int32", 0))
    method.bind((View(np.zeros(0, np.int64)), View(np.zeros(0, np.int64))))
    method.run()


def test_dynamic_outputs_are_resized_and_bound_anew() -> None:
    method, request = bound(port("x", "fp32", None, 3), port("y", "fp32", None, 3))
    y = View(np.zeros((8, 3), np.float32))
    x = np.ones((5, 3), np.float32)
    assert not method.bind((View(x), y))  # must not be repeated
    method.run()
    assert request.released == [0]
    assert y.shape == (5, 3)
    np.testing.assert_array_equal(y.array, np.full((5, 3), 2))


def test_dynamic_output_beyond_its_memory() -> None:
    method, request = bound(port("x", "fp32", None), port("y", "fp32", None))
    request.result = np.zeros(9, np.float32)
    method.bind((View(np.zeros(4, np.float32)), View(np.zeros(8, np.float32))))
    with pytest.raises(ShapeError, match=r"output 'y' does not fit .*found \(9,\).*\(8,\)"):
        method.run()


def test_binding_again_forgets_conversions() -> None:
    method, request = bound(port("x", "fp32", 2), port("y", "fp32", 2))
    halves = np.zeros(2, np.float16)
    method.bind((View(halves), View(halves.copy())))
    assert method.run != request.infer
    singles = np.zeros(2, np.float32)
    method.bind((View(singles), View(singles.copy())))
    assert method.run == request.infer
