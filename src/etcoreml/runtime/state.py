"""What a stateful model remembers between predictions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from etcoreml.engine import Request, Session
from etcoreml.errors import ShapeError, StateError
from etcoreml.mil.program import Array
from etcoreml.runtime.arrays import coerce, to_array
from etcoreml.runtime.workers import Line


class MLState:
    """The states of a model: tensors that one prediction leaves to the next, zeros at first.

    Made by `MLModel.make_state`; a model may have any number of them, independent of each other.
    Predictions with one state take turns, in the order they were begun.

    Attributes:
        line: Where predictions wait for their turn.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._request = session.create_request()
        self._lock = threading.Lock()
        self.line = Line()

    def read_state(self, name: str) -> Array:
        """Return a copy of a state; fp16 as float32, as coremltools does.

        Raises:
            StateError: The model has no such state.
        """
        index = self._index(name)
        with self._lock:
            array = self._request.read_state(index)
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def write_state(self, name: str, value: Any) -> None:
        """Set a state.

        Args:
            name: Name of the state.
            value: An array, or what becomes one, of the state's shape.

        Raises:
            StateError: The model has no such state.
            ShapeError, DtypeError, FeatureTypeError: The value does not fit.
        """
        index = self._index(name)
        port = self._session.states[index]
        what = f"state {name!r}"
        array = to_array(value, what)
        if not port.accepts(array.shape):
            raise ShapeError(what, found=f"shape {array.shape}", expected=f"shape {port.shape}")
        with self._lock:
            self._request.write_state(index, coerce(array, port.dtype, what))

    @contextlib.contextmanager
    def borrowed_by(self, session: Session) -> Iterator[Request]:
        """Lend the request that holds the states; others wait until it is given back.

        Raises:
            StateError: The states are another model's.
        """
        if session is not self._session:
            raise StateError("the state was made by another model, or by another function of it")
        with self._lock:
            yield self._request

    def __repr__(self) -> str:
        states = ", ".join(
            f"{each.name} {each.dtype} {each.shape}" for each in self._session.states
        )
        return f"MLState({states})"

    def _index(self, name: str) -> int:
        names = [port.name for port in self._session.states]
        if name not in names:
            raise StateError(f"there is no state {name!r}", expected=f"one of {names}")
        return names.index(name)
