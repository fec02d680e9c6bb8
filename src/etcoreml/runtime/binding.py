"""Binds the arguments of a delegate call to a request of the engine, without copies where possible.

ExecuTorch hands a delegate its inputs and outputs by position, in memory that it planned, so the
same addresses come back with every call. The bridge therefore calls `BoundMethod.bind` when an
argument's address, dtype or shape changes, and `BoundMethod.run` alone otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np

from etcoreml.engine import Port, Session
from etcoreml.errors import DelegateError, DtypeError, PackageError, ShapeError
from etcoreml.mil.program import Feature
from etcoreml.runtime.features import accepts, check_together, described, shape_text
from etcoreml.runtime.metadata import MethodMetadata
from etcoreml.types import BY_EXECUTORCH, INT32, INT64

Array = np.ndarray[Any, np.dtype[Any]]


class TensorView(Protocol):
    """One tensor argument, as the bridge lends it for the length of a call."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes in elements."""

    @property
    def scalar_type(self) -> int:
        """ExecuTorch's ScalarType."""

    def resize(self, shape: tuple[int, ...]) -> None:
        """Give the tensor another shape within its capacity."""


class BoundMethod:
    """One loaded delegate: a compiled function and the arguments bound to it.

    Args:
        session: The compiled function.
        metadata: Feature names in argument order.
        features: The inputs as the model describes them.

    Raises:
        PackageError: The metadata names a feature that the function does not have.
    """

    def __init__(
        self, session: Session, metadata: MethodMetadata, features: tuple[Feature, ...] = ()
    ) -> None:
        self._request = session.create_request()
        self._infer = self._request.infer
        self._inputs = _order(session.inputs, metadata.input_names, "input")
        self._outputs = _order(session.outputs, metadata.output_names, "output")
        self._features = {port.name: described(port, features) for port in session.inputs}
        self._before: list[Callable[[], None]] = []
        self._after: list[Callable[[], None]] = []

    @property
    def run(self) -> Callable[[], object]:
        """Computes the outputs from the inputs, as bound last.

        The bridge asks for it after each `bind`. Where no argument has to be converted it is the
        request's own function: on a small model a Python frame would show in the latency.
        """
        return self._convert_and_infer if self._before or self._after else self._infer

    def bind(self, arguments: tuple[TensorView | int | float | bool | None, ...]) -> bool:
        """Bind the arguments of a call: all inputs, then all outputs.

        Returns:
            Whether `run` may be repeated for as long as the arguments stay the same. Outputs
            whose shape is known only afterwards have to be bound anew each time.

        Raises:
            ShapeError: An argument does not have the declared shape.
            DtypeError: An argument's dtype cannot be converted to or from the declared one.
            DelegateError: An argument is not a tensor, or there are too many or too few.
        """
        expected = len(self._inputs) + len(self._outputs)
        if len(arguments) != expected:
            raise DelegateError(
                "the delegate was called with the wrong number of arguments",
                found=len(arguments),
                expected=f"{len(self._inputs)} inputs and {len(self._outputs)} outputs",
            )
        self._before.clear()
        self._after.clear()
        views = [_tensor(argument, i) for i, argument in enumerate(arguments)]
        shapes = {}
        for (index, port), view in zip(self._inputs, views, strict=False):
            shapes[port.name] = self._bind_input(index, port, view)
        check_together(self._features.values(), shapes)
        reusable = True
        for (index, port), view in zip(self._outputs, views[len(self._inputs) :], strict=True):
            reusable &= self._bind_output(index, port, view)
        return reusable

    def _convert_and_infer(self) -> None:
        for step in self._before:
            step()
        self._infer()
        for step in self._after:
            step()

    def _bind_input(self, index: int, port: Port, view: TensorView) -> tuple[int, ...]:
        """Bind one input and return its shape as the model sees it."""
        array = _array(view, f"input '{port.name}'")
        if array.ndim == 0 and port.shape == (1,):
            array = array.reshape(1)  # Core ML has no scalar features: they are wrapped as [1]
        feature = self._features[port.name]
        shape: tuple[int, ...] = array.shape
        if not accepts(feature, port, shape):
            expected = shape_text(feature, port)
            raise ShapeError(f"tensor '{port.name}'", found=shape, expected=expected)
        if array.dtype == port.dtype.storage and array.flags.c_contiguous:
            self._request.set_input(index, array)
            return shape
        _check_conversion(port, array.dtype)
        staging = np.empty(array.shape, port.dtype.storage)
        self._request.set_input(index, staging)
        if array.dtype == INT64.storage and port.dtype == INT32:
            self._before.append(lambda: _check_range(port, array))
        self._before.append(lambda: np.copyto(staging, array, casting="unsafe"))
        return shape

    def _bind_output(self, index: int, port: Port, view: TensorView) -> bool:
        what = f"output '{port.name}'"
        if not port.is_static:
            self._request.release_output(index)
            self._after.append(lambda: self._copy_dynamic(index, view, what))
            return False
        array = _array(view, what)
        if array.ndim == 0 and port.shape == (1,):
            array = array.reshape(1)
        _check_shape(port, array.shape)
        if array.dtype == port.dtype.storage and array.flags.c_contiguous:
            self._request.set_output(index, array)
            return True
        self._request.release_output(index)
        self._after.append(lambda: np.copyto(array, self._request.output(index), casting="unsafe"))
        return True

    def _copy_dynamic(self, index: int, view: TensorView, what: str) -> None:
        result = self._request.output(index)
        if view.shape != result.shape and not (view.shape == () and result.shape == (1,)):
            try:
                view.resize(result.shape)
            except ValueError as error:
                raise ShapeError(
                    f"{what} does not fit the memory planned for it",
                    found=result.shape,
                    expected=f"at most {view.shape}",
                    hint="Export with an upper bound for this dimension (torch.export.Dim).",
                ) from error
        np.copyto(_array(view, what).reshape(result.shape), result, casting="unsafe")


def _order(
    ports: tuple[Port, ...], names: tuple[str, ...], kind: str
) -> tuple[tuple[int, Port], ...]:
    """Return (engine index, port) in the order of ``names``."""
    positions = {port.name: i for i, port in enumerate(ports)}
    missing = [name for name in names if name not in positions]
    if missing or len(names) != len(ports):
        raise PackageError(
            f"metadata.json and the program disagree on the {kind}s",
            found=", ".join(names),
            expected=", ".join(positions),
        )
    return tuple((positions[name], ports[positions[name]]) for name in names)


def _tensor(argument: TensorView | int | float | bool | None, index: int) -> TensorView:
    if argument is None or isinstance(argument, (int, float)):
        raise DelegateError(
            f"argument {index} of the delegate is not a tensor",
            found=repr(argument),
            expected="a tensor",
            hint="Core ML takes tensors only: pass the number as a tensor.",
        )
    return argument


def _array(view: TensorView, what: str) -> Array:
    if view.scalar_type not in BY_EXECUTORCH:
        raise DtypeError(
            f"{what} has a dtype that Core ML does not know",
            found=f"ExecuTorch ScalarType {view.scalar_type}",
            expected=", ".join(str(dtype) for dtype in BY_EXECUTORCH.values()),
        )
    return np.asarray(cast("Any", view))


def _check_shape(port: Port, shape: tuple[int, ...]) -> None:
    if not port.accepts(shape):
        raise ShapeError(f"tensor '{port.name}'", found=shape, expected=port.shape)


def _check_conversion(port: Port, given: np.dtype[Any]) -> None:
    """Core ML converts arguments element by element; we refuse to cut fractions off."""
    if given.kind == "f" and not port.dtype.is_float:
        raise DtypeError(f"tensor '{port.name}'", found=given, expected=port.dtype)


def _check_range(port: Port, array: Array) -> None:
    if array.size == 0:
        return
    bounds = np.iinfo(np.int32)
    low, high = int(array.min()), int(array.max())
    if low < bounds.min or high > bounds.max:
        raise DtypeError(
            f"tensor '{port.name}' holds integers that Core ML's int32 cannot",
            found=f"{low} to {high}",
            expected=f"{bounds.min} to {bounds.max}",
        )
