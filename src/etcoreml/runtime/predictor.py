"""Predictions by name: dictionaries in, dictionaries out.

Enters: a compiled function and its described interface. Leaves: `Predictor`, which `MLModel` and
the stages of a pipeline call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from etcoreml.engine import Request, Session
from etcoreml.errors import FeatureNameError, StateError
from etcoreml.mil.program import Signature
from etcoreml.runtime.features import default_array, described, input_array, output_value
from etcoreml.runtime.images import check_color_space
from etcoreml.runtime.state import MLState


class Predictor(Protocol):
    """A model that can be called; threads may share it."""

    @property
    def signature(self) -> Signature:
        """The described interface."""

    @property
    def devices(self) -> tuple[str, ...]:
        """OpenVINO's devices it runs on, the most preferred first."""

    def predict(self, data: Mapping[str, Any], state: MLState | None = None) -> dict[str, Any]:
        """Return the outputs by name."""

    def make_state(self) -> MLState:
        """Return a new state."""


class FunctionPredictor:
    """Predictions with one function of a program.

    Args:
        session: The compiled function.
        signature: Its described interface.

    Raises:
        ModelError: An image is of no known color space.
    """

    def __init__(self, session: Session, signature: Signature) -> None:
        self.session = session
        self.signature = signature
        self._inputs = [(port, described(port, signature.inputs)) for port in session.inputs]
        self._outputs = [(port, described(port, signature.outputs)) for port in session.outputs]
        for kind, pairs in (("input", self._inputs), ("output", self._outputs)):
            for _, feature in pairs:
                if feature.image is not None:
                    check_color_space(feature.image, f"{kind} {feature.name!r}")
        self._idle: list[Request] = []

    @property
    def devices(self) -> tuple[str, ...]:
        """OpenVINO's devices it runs on, the most preferred first."""
        return self.session.devices

    def predict(self, data: Mapping[str, Any], state: MLState | None = None) -> dict[str, Any]:
        """Run once.

        Args:
            data: A value for each input, see ``features.py``; optional ones may be left out.
            state: A state of this model; needed if it has states.

        Raises:
            FeatureNameError: An input is unknown or missing.
            FeatureTypeError, ShapeError, DtypeError: A value does not fit.
            StateError: The state is missing, or another model's.
        """
        check_names(data, (feature.name for _, feature in self._inputs))
        arrays = [self._array(data, index) for index in range(len(self._inputs))]
        if state is not None:
            with self._locked(state) as request:
                return self._run(request, arrays)
        if self.session.states:
            raise StateError(
                "the model has states, and the prediction was given none",
                found="state=None",
                hint="model.predict(data, state=model.make_state())",
            )
        try:
            request = self._idle.pop()
        except IndexError:  # each of the threads that are here at once has its own
            request = self.session.create_request()
        try:
            return self._run(request, arrays)
        finally:
            self._idle.append(request)

    def make_state(self) -> MLState:
        """Return a new state, all zeros.

        Raises:
            StateError: The model has no states.
        """
        if not self.session.states:
            raise StateError("the model has no states", hint="Call predict(data) without one.")
        return MLState(self.session)

    def _locked(self, state: MLState) -> Any:
        if not isinstance(state, MLState):
            raise StateError(
                "state is no state of this library",
                found=type(state).__name__,
                expected="what make_state() of this model returned",
            )
        return state.borrowed_by(self.session)

    def _array(self, data: Mapping[str, Any], index: int) -> Any:
        port, feature = self._inputs[index]
        if feature.name in data and data[feature.name] is not None:
            return input_array(feature, port, data[feature.name])
        default = default_array(feature, port)
        if default is None:
            raise FeatureNameError(
                f"input {feature.name!r} is missing",
                found=sorted(data),
                expected=[each.name for _, each in self._inputs if not each.optional],
            )
        return default

    def _run(self, request: Request, arrays: list[Any]) -> dict[str, Any]:
        try:
            for index, array in enumerate(arrays):
                request.set_input(index, array)
            try:
                request.infer()
            except RuntimeError as error:
                raise self.session.failure(error) from error
            return {
                feature.name: output_value(feature, port, request.output(index))
                for index, (port, feature) in enumerate(self._outputs)
            }
        finally:  # an idle request would keep the caller's arrays alive
            request.release_inputs()


def check_names(data: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse values for inputs that do not exist.

    Raises:
        FeatureNameError: There is one.
    """
    known = list(names)
    unknown = [str(name) for name in data if name not in known]
    if unknown:
        raise FeatureNameError(f"the model has no input {unknown[0]!r}", expected=f"one of {known}")
