"""``etcoreml.MLModel``: coremltools' ``MLModel``, on any machine.

Enters: a Core ML model as files or messages. Leaves: predictions. The public contract is that of
coremltools 9.0 ``models/model.py``; the constructor's options behind the ``*`` are added to it, and
so are `predict_async`, `bind`, `close`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from etcoreml.engine import compile_function
from etcoreml.engine.numerics import check_numerics
from etcoreml.errors import FeatureTypeError, OptionError, StateError, UsageError
from etcoreml.mil import MilProgram, Model
from etcoreml.mil.program import Array
from etcoreml.runtime.compute_device import MLComputeDevice, available_compute_devices
from etcoreml.runtime.compute_unit import ComputeUnit, engine_name
from etcoreml.runtime.described_model import DescribedModel
from etcoreml.runtime.model_files import locate
from etcoreml.runtime.pipeline import PipelinePredictor
from etcoreml.runtime.prebound import BoundCall
from etcoreml.runtime.predictor import FunctionPredictor, Predictor
from etcoreml.runtime.state import MLState
from etcoreml.runtime.workers import Workers

_OVERLAP_NS = 500_000
"""Shorter predictions of a list are made one by one: another thread costs some 50 us each."""


class MLModel(DescribedModel):
    """A Core ML model: its description, and predictions with it.

    Runs ML Programs, and pipelines of them with non-maximum suppression. Threads may share a model.

    Args:
        model: Path of a ``.mlpackage``, ``.mlmodel`` or ``.mlmodelc``; a ``Model`` message; or
            a ``coremltools.models.MLModel``.
        is_temp_package: Whether to delete the package when the model is closed.
        mil_program: Refused: coremltools keeps it for its own converters.
        skip_model_load: Whether to leave the model uncompiled: it can be described and saved, and
            may be of a type that does not run here, but makes no predictions.
        compute_units: An `etcoreml.ComputeUnit`, a ``coremltools.ComputeUnit``, or its name.
        weights_dir: Folder of the weight files of a ``Model`` message.
        function_name: Function of a multifunction model; its default function if None.
        optimization_hints: Refused unless empty, as coremltools does off macOS.
        numerics: ``fast``: fp16 weights, f32 arithmetic. ``faithful``: every fp16 value is
            rounded to fp16. ``turbo``: bf16 where the processor computes in it.
        threads: CPU threads of one prediction; None leaves the choice to OpenVINO.
        cache_dir: Folder of the cache of compiled models, ``""`` for none; None for the default.

    Raises:
        ModelError: The model cannot be read, or is of a type that does not run here.
        OptionError: An option is unknown or cannot be honoured (a ``ValueError``).
        FeatureTypeError: An argument is of the wrong type (a ``TypeError``).
        UnsupportedOpError, EngineError: The model cannot be compiled here.
    """

    def __init__(
        self,
        model: Any,
        is_temp_package: bool = False,
        mil_program: None = None,
        skip_model_load: bool = False,
        compute_units: Any = ComputeUnit.ALL,
        weights_dir: str | os.PathLike[str] | None = None,
        function_name: str | None = None,
        optimization_hints: Mapping[str, Any] | None = None,
        *,
        numerics: str = "fast",
        threads: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        _refuse(mil_program, optimization_hints)
        check_numerics(numerics)
        unit = engine_name(compute_units)
        self.compute_unit = (
            ComputeUnit[unit.upper()] if isinstance(compute_units, str) else compute_units
        )
        self.optimization_hints = optimization_hints
        self.numerics = numerics
        self._predictor: Predictor | None = None
        self._why_not = "a model opened with skip_model_load=True"
        self._workers = Workers(2, "etcoreml-predict")
        self._load_ns: int | None = None
        self._predict_ns: int | None = None
        files = locate(model, weights_dir, is_temp_package)
        start = time.perf_counter_ns()
        super().__init__(files, None if skip_model_load else files.open(), function_name)
        if self._opened is not None:
            self._predictor = _compile(
                self._opened,
                self.function_name,
                compute_unit=unit,
                numerics=numerics,
                threads=threads,
                cache_dir=cache_dir,
            )
            self._load_ns = time.perf_counter_ns() - start

    def predict(self, data: Any, state: MLState | None = None) -> Any:
        """Make a prediction, or several.

        Args:
            data: A dictionary of input names and values; or a list of them, whose predictions
                overlap on two threads, unless they are too short for that to pay. A value is an
                array, a number, a list, a torch tensor, or, for an image, a PIL image or an array
                ``(H, W, 3)`` in RGB order, ``(H, W)`` for grey. Numbers are converted to the
                declared dtype if it can hold them.
            state: What `make_state` returned, for a stateful model; not with a list.

        Returns:
            A dictionary of output names and values, or a list of them: arrays, fp16 as float32;
            PIL images, RGBA for colour; a classifier's label, and its probabilities by label.

        Raises:
            FeatureTypeError: ``data``, or a value in it, is of the wrong type (a ``TypeError``).
            FeatureNameError: An input is unknown or missing (a ``KeyError``).
            ShapeError, DtypeError: A value does not fit.
            StateError: The state is missing or another model's (a ``RuntimeError``).
            UsageError: The model was closed or not loaded.
        """
        predictor = self._loaded()
        start = time.perf_counter_ns()
        if isinstance(data, Mapping):
            if isinstance(state, MLState):
                result: Any = state.line.call(lambda: predictor.predict(data, state))
            else:
                result = predictor.predict(data, state)
        else:
            result = self._predict_each(predictor, _checked(data), state)
        self._predict_ns = time.perf_counter_ns() - start
        return result

    def predict_async(
        self, data: Mapping[str, Any], state: MLState | None = None
    ) -> Future[dict[str, Any]]:
        """Begin a prediction on another thread; arguments and result as of `predict`.

        The values must stay as they are until the future is done. Two predictions overlap, further
        ones wait; those with one state take turns, in the order they were begun.
        """
        predictor = self._loaded()
        _checked([data])
        if isinstance(state, MLState):
            return state.line.submit(self._workers, lambda: predictor.predict(data, state))
        return self._workers.submit(lambda: predictor.predict(data, state))

    def make_state(self) -> MLState:
        """Return a new state, all zeros, for a stateful model.

        Raises:
            StateError: The model has no states.
            UsageError: The model was closed or not loaded.
        """
        return self._loaded().make_state()

    def bind(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> BoundCall:
        """Bind arrays once, for calls that do nothing but compute.

        Args:
            inputs: An array for every input in the form the program takes it: of its exact dtype,
                C-contiguous; an image as ``(1, C, H, W)``.
            outputs: Arrays to write; those left out are made. A classifier's label is written as
                the number of the label.

        Returns:
            A callable without arguments. It has states of its own, zeros at first.

        Raises:
            FeatureNameError: A name is unknown, or an input is missing.
            ShapeError, DtypeError, UsageError: An array cannot be bound as it is.
            OptionError: The model is a pipeline.
        """
        predictor = self._loaded()
        if not isinstance(predictor, FunctionPredictor):
            raise OptionError("a pipeline cannot be bound", hint="Call predict instead.")
        return BoundCall(predictor.session, inputs, outputs)

    @property
    def load_duration_in_nano_seconds(self) -> int | None:
        """Time it took to read and compile the model; None if it was not loaded."""
        return self._load_ns

    @property
    def last_predict_duration_in_nano_seconds(self) -> int | None:
        """Time of the last `predict`, conversions included; None before the first."""
        return self._predict_ns

    @property
    def devices(self) -> tuple[str, ...]:
        """OpenVINO's devices the model runs on; empty if it was not loaded."""
        return () if self._predictor is None else self._predictor.devices

    @staticmethod
    def get_available_compute_devices() -> list[MLComputeDevice]:
        """Return the devices of this machine, as OpenVINO lists them."""
        return available_compute_devices()

    def close(self) -> None:
        """Free the compiled model, and delete it if it is temporary; may be called twice."""
        self._why_not = "a model that was closed"
        self._predictor = None
        self._workers.close()
        self._files.remove()

    def __enter__(self) -> MLModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _loaded(self) -> Predictor:
        predictor = self._predictor  # another thread may close the model
        if predictor is None:
            raise UsageError("the model makes no predictions", found=self._why_not)
        return predictor

    def _predict_each(
        self, predictor: Predictor, items: list[Mapping[str, Any]], state: MLState | None
    ) -> list[dict[str, Any]]:
        if state is not None:
            raise StateError("a state goes with one prediction, not with a list", found=len(items))
        if not items:
            return []
        start = time.perf_counter_ns()
        first = predictor.predict(items[0])
        if len(items) < 3 or time.perf_counter_ns() - start < _OVERLAP_NS:
            return [first, *(predictor.predict(item) for item in items[1:])]
        return [first, *self._workers.map(predictor.predict, items[1:])]


def _compile(model: Model, function: str | None, **options: Any) -> Predictor:
    def compiled(program: MilProgram, name: str | None = None) -> FunctionPredictor:
        session = compile_function(program, function=name, **options)
        return FunctionPredictor(session, program.signatures[session.function])

    if isinstance(model, MilProgram):
        return compiled(model, function)
    return PipelinePredictor(model, compiled)


def _refuse(mil_program: object, optimization_hints: object) -> None:
    """Refuse the options of coremltools that mean nothing here."""
    if mil_program is not None:
        raise OptionError(
            "mil_program means nothing here",
            found=type(mil_program).__name__,
            expected="None",
            hint="Convert it with coremltools.convert(mil_program) and open the result.",
        )
    if optimization_hints is not None and not isinstance(optimization_hints, Mapping):
        raise FeatureTypeError(
            "optimization_hints is no dictionary", found=type(optimization_hints).__name__
        )
    if optimization_hints:
        raise OptionError(
            "optimization hints are Core ML's, which is not here",
            found=", ".join(map(str, optimization_hints)),
            expected="none",
        )


def _checked(data: Any) -> list[Mapping[str, Any]]:
    """Return a list of dictionaries as it is.

    Raises:
        FeatureTypeError: It is none.
    """
    if isinstance(data, (list, tuple)) and all(isinstance(item, Mapping) for item in data):
        return list(data)
    raise FeatureTypeError(
        "predict takes a dictionary of inputs, or a list of them", found=type(data).__name__
    )
