"""A serialised specification, the ``.mlmodel`` inside a package or alone, to a model.

Enters: its bytes. Leaves: a :class:`MilProgram` or a :class:`Pipeline`.

Source: coremltools 9.0 ``Model.proto`` and ``NonMaximumSuppression.proto``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Union

from etcoreml.blob import Directory
from etcoreml.errors import ModelError, ModelTypeError, PackageError
from etcoreml.mil.contents import WeightReader
from etcoreml.mil.decode import decode_model
from etcoreml.mil.features import decode_signature
from etcoreml.mil.pipeline import NonMaximumSuppression, Pipeline, Stage
from etcoreml.mil.program import MilProgram
from etcoreml.mil.proto import module
from etcoreml.mil.validity import check_pipeline, check_program

Message = Any
Model = Union[MilProgram, Pipeline]  # noqa: UP007 - as a run-time value, on Python 3.10

PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")

_KINDS = MappingProxyType(
    {
        "neuralNetwork": "a neural network",
        "neuralNetworkClassifier": "a neural network classifier",
        "neuralNetworkRegressor": "a neural network regressor",
        "pipeline": "a pipeline",
        "pipelineClassifier": "a pipeline classifier",
        "pipelineRegressor": "a pipeline regressor",
        "treeEnsembleClassifier": "a tree ensemble classifier",
        "treeEnsembleRegressor": "a tree ensemble regressor",
        "supportVectorClassifier": "a support vector machine (classifier)",
        "supportVectorRegressor": "a support vector machine (regressor)",
        "glmClassifier": "a generalised linear model (classifier)",
        "glmRegressor": "a generalised linear model (regressor)",
        "bayesianProbitRegressor": "a Bayesian probit regressor",
        "kNearestNeighborsClassifier": "a k-nearest-neighbours classifier",
        "itemSimilarityRecommender": "an item similarity recommender",
        "nonMaximumSuppression": "a non-maximum suppression model",
        "customModel": "a custom model, whose code is in an app",
        "linkedModel": "a link to a model elsewhere",
        "visionFeaturePrint": "Apple's built-in Vision feature print",
        "audioFeaturePrint": "Apple's built-in audio feature print",
        "soundAnalysisPreprocessing": "Apple's built-in sound preprocessing",
        "serializedModel": "a serialised model of another framework",
    }
)
_CONVERTIBLE = "neuralNetwork"


def wrong_kind(kind: str, what: str = "the model") -> ModelTypeError:
    """Return the error for a model that is neither an ML Program nor a pipeline of them.

    Args:
        kind: The specification's name for it, e.g. ``neuralNetwork``; "" if there is none.
        what: Which model it is.
    """
    if kind.startswith(_CONVERTIBLE):
        hint = (
            "Convert its source again with coremltools' convert_to='mlprogram': "
            "the neural network format has no path to an ML Program."
        )
    elif not kind:
        hint = None
    else:
        hint = "Only ML Programs, and pipelines of ML Programs, run here; use Core ML for others."
    return ModelTypeError(
        f"{what} is not an ML Program",
        found=_KINDS.get(kind, f"a model of type {kind}" if kind else "no model at all"),
        expected="an ML Program (mlProgram)",
        hint=hint,
    )


def parse_model(data: memoryview, directory: Directory, folder: PurePosixPath) -> Model:
    """Parse the bytes of a ``.mlmodel``.

    Args:
        data: The serialised ``Model``.
        directory: Where its weight files are found.
        folder: What ``@model_path`` stands for, relative to ``directory``.

    Raises:
        PackageError: The bytes are no specification, or a file they name is missing.
        ModelTypeError: The model is neither an ML Program nor a pipeline of them.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The program breaks a rule of MIL.
    """
    model = parse_specification(data)
    reader = WeightReader(directory, folder)
    kind = model.WhichOneof("Type") or ""
    if kind in PIPELINES:
        pipeline = _pipeline(model, kind, reader)
        check_pipeline(pipeline)
        return pipeline
    if kind != "mlProgram":
        raise wrong_kind(kind)
    return _program(model, data, reader)


def parse_specification(data: memoryview | bytes) -> Message:
    """Parse the bytes of a ``.mlmodel`` to a ``Model`` message.

    Raises:
        PackageError: The bytes are no specification.
    """
    if not data:
        raise PackageError("the specification of the model is an empty file")
    model = module("Model_pb2").Model()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError has moved between its versions
        raise PackageError(
            "the model is not a serialised Core ML specification",
            found=f"{len(data)} bytes that begin with {bytes(data[:8])!r}",
            expected="what coremltools saves as a .mlmodel, or as the model of a .mlpackage",
        ) from error
    return model


def _program(model: Message, data: memoryview, reader: WeightReader) -> MilProgram:
    program = decode_model(model, reader)
    check_program(program)
    return replace(program, sources=reader.sources(data))


def _pipeline(model: Message, kind: str, reader: WeightReader) -> Pipeline:
    if model.isUpdatable:
        msg = "the pipeline is updatable: training on the device is not supported"
        raise ModelTypeError(msg, hint="Save it with isUpdatable cleared to run it as it is.")
    message = model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline
    count = len(message.models)
    names = list(message.names) or [f"model{index}" for index in range(count)]
    if len(names) != count:
        msg = "the pipeline does not name each of its stages"
        raise ModelError(msg, found=f"{len(names)} names", expected=f"{count}, or none")
    metadata = model.description.metadata
    return Pipeline(
        stages=tuple(
            Stage(name, _stage(stage, f"stage {index} ({name!r}) of the pipeline", reader))
            for index, (name, stage) in enumerate(zip(names, message.models, strict=True))
        ),
        signature=decode_signature(model.description),
        spec_version=model.specificationVersion,
        user_defined=MappingProxyType(dict(sorted(metadata.userDefined.items()))),
        author=metadata.author,
        license=metadata.license,
        version=metadata.versionString,
        description=metadata.shortDescription,
    )


def _stage(model: Message, what: str, reader: WeightReader) -> MilProgram | NonMaximumSuppression:
    kind = model.WhichOneof("Type") or ""
    if kind == "nonMaximumSuppression":
        return _suppression(model, what)
    if kind != "mlProgram":
        raise wrong_kind(kind, what)
    # The stage's own specification: the stages share the file, and their functions' names.
    data = memoryview(model.SerializeToString(deterministic=True))
    return _program(model, data, reader)


def _suppression(model: Message, what: str) -> NonMaximumSuppression:
    message = model.nonMaximumSuppression
    if message.WhichOneof("SuppressionMethod") not in (None, "pickTop"):
        msg = f"{what}: unknown method of suppression"
        raise ModelTypeError(msg, expected="pickTop")
    labels = message.WhichOneof("ClassLabels")
    vector = getattr(message, labels).vector if labels else ()
    return NonMaximumSuppression(
        iou_threshold=message.iouThreshold,
        confidence_threshold=message.confidenceThreshold,
        per_class=message.pickTop.perClass,
        confidence_input=message.confidenceInputFeatureName,
        coordinates_input=message.coordinatesInputFeatureName,
        confidence_output=message.confidenceOutputFeatureName,
        coordinates_output=message.coordinatesOutputFeatureName,
        iou_threshold_input=message.iouThresholdInputFeatureName,
        confidence_threshold_input=message.confidenceThresholdInputFeatureName,
        labels=tuple(vector),
        signature=decode_signature(model.description),
    )
