"""A delegate whose runs an ETDump follows: events for each operation, and intermediate values.

The bridge asks for them after a run and hands them to ExecuTorch's event tracer. Which level is
wanted is known when the method is loaded: a method that is not traced costs nothing more.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from etcoreml.blob import Directory
from etcoreml.engine import Session
from etcoreml.errors import DebugBufferError
from etcoreml.mil.program import Feature, Function, Operation
from etcoreml.runtime.binding import BoundMethod
from etcoreml.runtime.metadata import MethodMetadata, parse_debug_symbols
from etcoreml.trace import Event, EventWriter, RunTimes, attribute
from etcoreml.trace.attribution import symbol
from etcoreml.trace.cost import costs

NO_TRACE, EVENTS, INTERMEDIATES = 0, 1, 2
"""Trace levels."""

_ALIGNMENT = 64
"""Of each value in ExecuTorch's debug buffer (``buffer_data_sink.h``, executorch 1.5.1)."""

Array = np.ndarray[Any, np.dtype[Any]]


def traced_operations(function: Function) -> Mapping[str, Operation]:
    """Return the operations that events are about, by the name of their first output."""
    return {
        each.outputs[0].name: each
        for each in function.block.operations
        if each.outputs and each.type != "const"
    }


def event_writer(session: Session, function: Function, numerics: str) -> EventWriter:
    """Return what makes the events of a session's runs.

    Args:
        session: Compiled for profiling.
        function: That it was compiled from.
        numerics: Its numerics mode.
    """
    flops = {name: each.flops for name, each in costs(function).items()}
    attributions = attribute(session.kernels, traced_operations(function).values(), flops)
    return EventWriter(attributions, session.devices, numerics)


def traced_values(operations: Mapping[str, Operation], directory: Directory) -> list[str]:
    """Return the values to show: of the operations that the debug information knows.

    Those of all operations where there is none, as in models with several functions.

    Args:
        operations: From `traced_operations`.
        directory: The delegate's blob.
    """
    if directory.find("debug_info.json") is None:
        return list(operations)
    known = parse_debug_symbols(directory.read("debug_info.json"))
    # Of several that compute one node, a cast before or after it, the last has its value.
    last = {known[symbol(each)]: name for name, each in operations.items() if symbol(each) in known}
    return list(last.values())


class TracedMethod(BoundMethod):
    """A delegate that says what its last run did.

    Args:
        session: Compiled for profiling; with taps for ``values`` that are no outputs.
        metadata: Feature names in argument order.
        features: The inputs as the model describes them.
        function: That the session was compiled from.
        values: Which of its operations to show the values of, by first output.
        numerics: The numerics mode of the session.
    """

    def __init__(
        self,
        session: Session,
        metadata: MethodMetadata,
        features: tuple[Feature, ...],
        function: Function,
        values: Collection[str] = (),
        numerics: str = "fast",
    ) -> None:
        super().__init__(session, metadata, features)
        self._session = session
        self._function = function
        self._numerics = numerics
        self._times = RunTimes()
        operations = traced_operations(function)
        ports = (*session.outputs, *session.taps)
        self._values = [
            (symbol(operations[port.name]), index, port)
            for index, port in enumerate(ports)
            if port.name in values
        ]

    @functools.cached_property
    def _writer(self) -> EventWriter:
        return event_writer(self._session, self._function, self._numerics)

    def check_room(self, room: int) -> None:
        """Refuse a run whose intermediate values would overrun the debug buffer.

        ExecuTorch aborts the process where they do. Values whose shape varies are not counted
        here, but by `intermediates`, before any is written.

        Args:
            room: Free bytes of the debug buffer.

        Raises:
            DebugBufferError: Naming what is needed.
        """
        ports = [port for _, _, port in self._values]
        # The runtime writes the model's outputs after the run.
        ports += self._session.outputs
        sizes = [
            port.dtype.nbytes(int(np.prod([size or 0 for size in port.shape]))) for port in ports
        ]
        _check_room(sizes, room, "before the run")

    def events(self, start_ns: int, end_ns: int) -> Sequence[Event]:
        """Return the last run's events, tuples of name, start, end and metadata.

        Args:
            start_ns: When the run began, on the runtime's clock.
            end_ns: When it ended.
        """
        times = self._times.of_run(self._request.profile(), end_ns - start_ns)
        return self._writer.events(times, start_ns, end_ns)

    def intermediates(self, room: int) -> list[tuple[str, Array]]:
        """Return the values of the last run by debug symbol; fp16 as float32, as upstream does.

        Args:
            room: Free bytes of the debug buffer.

        Raises:
            DebugBufferError: They do not fit.
        """
        values = [(name, self._value(index)) for name, index, _ in self._values]
        _check_room([value.nbytes for _, value in values], room, "and none of them was written")
        return values

    def _value(self, index: int) -> Array:
        value = np.ascontiguousarray(self._request.output(index))
        return value.astype(np.float32) if value.dtype == np.float16 else value


def _check_room(sizes: Sequence[int], room: int, when: str) -> None:
    needed = sum(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes) + _ALIGNMENT
    if needed > room:
        raise DebugBufferError(
            f"the debug buffer is too small for the intermediate values, {when}",
            found=f"{room} bytes free",
            expected=f"at least {needed}",
            hint="Give a larger debug_buffer_size, for all runs together; 0 leaves intermediate "
            "values out.",
        )
