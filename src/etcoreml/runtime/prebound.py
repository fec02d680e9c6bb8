"""A call whose arrays are bound once: no dictionaries, no checks, no copies per call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from etcoreml.engine import Port, Request, Session
from etcoreml.errors import FeatureNameError, FeatureTypeError, UsageError
from etcoreml.mil.program import Array


class BoundCall:
    """A prediction over arrays that stay where they are. Made by `MLModel.bind`.

    Write the inputs in place, call, read the outputs::

        bound = model.bind({"x": x})
        for x[...] in stream:
            bound()
            consume(bound.outputs["y"])

    A bound call belongs to one thread at a time.

    Attributes:
        inputs: The arrays it reads, by name.
        outputs: The arrays it writes, by name. An output whose shape varies between calls is
            not here: `read` it after each call.
    """

    __slots__ = ("_dynamic", "_infer", "_request", "_session", "inputs", "outputs")

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __init__(
        self, session: Session, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None
    ) -> None:
        self._session = session
        self._request: Request = session.create_request()
        _check_names(inputs, session.inputs, "input", complete=True)
        for index, port in enumerate(session.inputs):
            self._request.set_input(index, _own(inputs[port.name], "input", port))
        outputs = {} if outputs is None else outputs
        _check_names(outputs, session.outputs, "output", complete=False)
        bound: dict[str, Array] = {}
        self._dynamic = {port.name: i for i, port in enumerate(session.outputs)}
        for index, port in enumerate(session.outputs):
            given = outputs.get(port.name)
            if given is None and not port.is_static:
                continue
            if given is None:
                given = np.zeros([size or 0 for size in port.shape], port.dtype.storage)
            self._request.set_output(index, _own(given, "output", port))
            bound[port.name] = given
            del self._dynamic[port.name]
        self.inputs = MappingProxyType(dict(inputs))
        self.outputs = MappingProxyType(bound)
        self._infer = self._request.infer

    def __call__(self) -> None:
        """Compute the outputs from what the inputs hold now."""
        try:
            self._infer()
        except RuntimeError as error:
            raise self._session.failure(error) from error

    def read(self, name: str) -> Array:
        """Return an output; a view that the next call overwrites if its shape varies.

        Raises:
            FeatureNameError: There is no such output.
        """
        if name in self.outputs:
            return self.outputs[name]
        if name not in self._dynamic:
            raise FeatureNameError(
                f"there is no output {name!r}", expected=f"one of {[*self.outputs, *self._dynamic]}"
            )
        return self._request.output(self._dynamic[name])


def _check_names(
    arrays: Mapping[str, Array], ports: tuple[Port, ...], kind: str, *, complete: bool
) -> None:
    if not isinstance(arrays, Mapping):
        raise FeatureTypeError(f"bind takes a dictionary of {kind}s", found=type(arrays).__name__)
    names = [port.name for port in ports]
    unknown = [name for name in arrays if name not in names]
    missing = [name for name in names if name not in arrays] if complete else []
    if unknown or missing:
        raise FeatureNameError(
            f"the function has no {kind} {unknown[0]!r}"
            if unknown
            else f"{kind} {missing[0]!r} is not bound",
            found=list(arrays),
            expected=names,
        )


def _own(array: Array, kind: str, port: Port) -> Array:
    if isinstance(array, np.ndarray):
        return array
    raise UsageError(
        f"{kind} {port.name!r} cannot be bound in place",
        found=type(array).__name__,
        expected=f"a NumPy array, {port.dtype}, C-contiguous",
    )
