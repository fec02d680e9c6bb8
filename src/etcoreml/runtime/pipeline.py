"""A pipeline: models that feed each other by name.

Enters: :class:`etcoreml.mil.Pipeline` and a way to compile its programs. Leaves: a `Predictor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etcoreml.errors import EtCoreMLError, FeatureNameError, StateError
from etcoreml.mil import MilProgram, NonMaximumSuppression, Pipeline
from etcoreml.mil.program import Signature
from etcoreml.runtime.predictor import FunctionPredictor, Predictor, check_names
from etcoreml.runtime.state import MLState
from etcoreml.runtime.suppression import SuppressionPredictor


class PipelinePredictor:
    """Predictions with the stages of a pipeline, one after the other.

    Args:
        pipeline: The stages.
        compile_program: Compiles the program of a stage.

    Raises:
        StateError: A stage has states: coremltools has no way to hand them to a pipeline.
        EngineError, UnsupportedOpError: A stage cannot be compiled; the message names it.
    """

    def __init__(
        self, pipeline: Pipeline, compile_program: Callable[[MilProgram], FunctionPredictor]
    ) -> None:
        self.signature: Signature = pipeline.signature
        self._stages: list[tuple[str, Predictor]] = []
        for stage in pipeline.stages:
            try:
                if isinstance(stage.model, NonMaximumSuppression):
                    predictor: Predictor = SuppressionPredictor(stage.model)
                else:
                    predictor = compile_program(stage.model)
            except EtCoreMLError as error:
                error.what = f"pipeline stage '{stage.name}': {error.what}"
                raise
            if predictor.signature.states:
                raise StateError(f"pipeline stage '{stage.name}' has states", expected="none")
            self._stages.append((stage.name, predictor))

    @property
    def devices(self) -> tuple[str, ...]:
        """OpenVINO's devices the stages run on."""
        return tuple(dict.fromkeys(name for _, each in self._stages for name in each.devices))

    def make_state(self) -> MLState:
        """Refuse: a pipeline has no states.

        Raises:
            StateError: Always.
        """
        raise StateError("a pipeline has no states", hint="Call predict(data) without one.")

    def predict(self, data: Mapping[str, Any], state: MLState | None = None) -> dict[str, Any]:
        """Run every stage once.

        Args:
            data: A value for each input of the pipeline; optional ones may be left out.
            state: None.

        Raises:
            FeatureNameError: An input is unknown or missing.
            FeatureTypeError, ShapeError, DtypeError: A value does not fit a stage.
        """
        if state is not None:
            self.make_state()
        check_names(data, (feature.name for feature in self.signature.inputs))
        missing = [
            feature.name
            for feature in self.signature.inputs
            if not feature.optional and data.get(feature.name) is None
        ]
        if missing:
            raise FeatureNameError(f"input {missing[0]!r} is missing", found=sorted(data))
        values = {name: value for name, value in data.items() if value is not None}
        for name, predictor in self._stages:
            wanted = [feature.name for feature in predictor.signature.inputs]
            try:
                values |= predictor.predict(
                    {each: values[each] for each in wanted if each in values}
                )
            except EtCoreMLError as error:
                error.what = f"pipeline stage '{name}': {error.what}"
                raise
        return {feature.name: values[feature.name] for feature in self.signature.outputs}
