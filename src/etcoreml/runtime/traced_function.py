"""A function of a Core ML model whose runs are followed operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etcoreml.engine import compile_function
from etcoreml.errors import FeatureNameError
from etcoreml.mil.program import Feature, Function, MilProgram, Signature
from etcoreml.runtime.features import default_array, described, input_array
from etcoreml.runtime.traced import event_writer
from etcoreml.trace import Event, RunTimes


class TracedFunction:
    """A compiled function that says what each run did.

    Args:
        program: The program.
        function: One of its functions.
        compute_unit: As of ``compile_function``.
        numerics: As of ``compile_function``.
        threads: As of ``compile_function``.

    Raises:
        EtCoreMLError: It cannot be compiled.
    """

    def __init__(
        self,
        program: MilProgram,
        function: Function,
        *,
        compute_unit: str = "all",
        numerics: str = "fast",
        threads: int | None = None,
    ) -> None:
        self._session = compile_function(
            program,
            function=function.name,
            compute_unit=compute_unit,
            numerics=numerics,
            threads=threads,
            profiling=True,
        )
        self._request = self._session.create_request()
        signature = program.signatures.get(function.name, Signature((), ()))
        self._inputs = [(port, described(port, signature.inputs)) for port in self._session.inputs]
        self._writer = event_writer(self._session, function, numerics)
        self._times = RunTimes()

    @property
    def devices(self) -> tuple[str, ...]:
        """OpenVINO devices it runs on, the most preferred first."""
        return self._session.devices

    @property
    def features(self) -> tuple[Feature, ...]:
        """The inputs as the model describes them."""
        return tuple(feature for _, feature in self._inputs)

    def bind(self, values: Mapping[str, Any]) -> None:
        """Give the inputs, as of `etcoreml.MLModel.predict`, for all runs.

        Raises:
            FeatureNameError: One is missing.
            ShapeError, DtypeError, FeatureTypeError: One does not fit.
        """
        for index, (port, feature) in enumerate(self._inputs):
            if port.name in values:
                array = input_array(feature, port, values[port.name])
            else:
                default = default_array(feature, port)
                if default is None:
                    raise FeatureNameError(f"input {port.name!r} is missing")
                array = default
            self._request.set_input(index, array)

    def run(self, clock_ns: Callable[[], int]) -> list[Event]:
        """Run once and return the events, end to end; the last is ``UNATTRIBUTED``.

        Args:
            clock_ns: What tells the time.

        Raises:
            EngineError: The run failed.
        """
        start = clock_ns()
        try:
            self._request.infer()
        except RuntimeError as error:
            raise self._session.failure(error) from error
        end = clock_ns()
        return self._writer.events(
            self._times.of_run(self._request.profile(), end - start), start, end
        )
