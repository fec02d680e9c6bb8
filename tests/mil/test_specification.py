"""Serialised specifications: pipelines, suppression, and models that do not run here.

Oracle: messages written field by field with coremltools' protobufs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.errors import EtCoreMLError, ModelError, ModelTypeError, PackageError
from etcoreml.mil import MilProgram, NonMaximumSuppression, Pipeline
from etcoreml.mil.proto import module
from etcoreml.mil.specification import Model, parse_model

FLOAT32, DOUBLE = 65568, 65600
Message = Any


def array(features: Message, name: str, shape: list[int], dtype: int = FLOAT32) -> Message:
    feature = features.add(name=name)
    feature.type.multiArrayType.shape.extend(shape)
    feature.type.multiArrayType.dataType = dtype
    return feature


def number(features: Message, name: str, optional: bool = False) -> None:
    feature = features.add(name=name)
    feature.type.doubleType.SetInParent()
    feature.type.isOptional = optional


def relu(model: Message, x: str = "x", y: str = "y") -> Message:
    """Make a message an ML Program of one relu from ``x`` to ``y``."""
    model.specificationVersion = 7
    array(model.description.input, x, [2])
    array(model.description.output, y, [2])
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML6"
    block = function.block_specializations["CoreML6"]
    block.outputs.append(y)
    operation = block.operations.add(type="relu")
    operation.inputs["x"].arguments.add(name=x)
    for value in (function.inputs.add(name=x), operation.outputs.add(name=y)):
        value.type.tensorType.dataType = 11
        value.type.tensorType.rank = 1
        value.type.tensorType.dimensions.add().constant.size = 2
    return model


def suppression(model: Message) -> Message:
    model.specificationVersion = 7
    array(model.description.input, "y", [10, 3])
    array(model.description.input, "boxes", [10, 4])
    number(model.description.input, "iou")
    array(model.description.output, "scores", [5, 3])
    array(model.description.output, "kept", [5, 4])
    nms = model.nonMaximumSuppression
    nms.pickTop.perClass = True
    nms.stringClassLabels.vector.extend(["cat", "dog", "fox"])
    nms.iouThreshold, nms.confidenceThreshold = 0.7, 0.25
    nms.confidenceInputFeatureName, nms.coordinatesInputFeatureName = "y", "boxes"
    nms.confidenceOutputFeatureName, nms.coordinatesOutputFeatureName = "scores", "kept"
    nms.iouThresholdInputFeatureName = "iou"
    return model


def pipeline(kind: str = "pipeline") -> Message:
    model = module("Model_pb2").Model(specificationVersion=7)
    array(model.description.input, "x", [2])
    array(model.description.input, "boxes", [10, 4])
    array(model.description.output, "scores", [5, 3])
    model.description.metadata.author = "A. U. Thor"
    model.description.metadata.userDefined["classes"] = "3"
    stages = model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline
    relu(stages.models.add())
    suppression(stages.models.add())
    stages.names.extend(["detector", "nms"])
    return model


def parse(model: Message) -> Model:
    data = memoryview(model.SerializeToString())
    return parse_model(data, Directory("m", {}), PurePosixPath())


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_pipelines(kind: str) -> None:
    model = pipeline(kind)
    model.description.predictedFeatureName = "label"
    found = parse(model)
    assert isinstance(found, Pipeline)
    assert [stage.name for stage in found.stages] == ["detector", "nms"]
    first, second = (stage.model for stage in found.stages)
    assert isinstance(first, MilProgram)
    assert isinstance(second, NonMaximumSuppression)
    assert [f.name for f in found.stages[0].signature.outputs] == ["y"]
    assert (second.iou_threshold, second.confidence_threshold) == (0.7, 0.25)
    assert (second.confidence_input, second.coordinates_input) == ("y", "boxes")
    assert (second.confidence_output, second.coordinates_output) == ("scores", "kept")
    assert (second.iou_threshold_input, second.confidence_threshold_input) == ("iou", "")
    assert second.per_class
    assert second.labels == ("cat", "dog", "fox")
    assert second.signature.outputs[1].shape == (5, 4)
    assert found.signature.predicted_feature == "label"
    assert (found.author, found.user_defined) == ("A. U. Thor", {"classes": "3"})


def test_stages_without_names_are_numbered() -> None:
    model = pipeline()
    del model.pipeline.names[:]
    found = parse(model)
    assert isinstance(found, Pipeline)
    assert [stage.name for stage in found.stages] == ["model0", "model1"]


def test_labels_may_be_numbers() -> None:
    model = pipeline()
    nms = model.pipeline.models[1].nonMaximumSuppression
    nms.int64ClassLabels.vector.extend([7, 8, 9])
    found = parse(model)
    assert isinstance(found, Pipeline)
    assert found.stages[1].model.labels == (7, 8, 9)  # type: ignore[union-attr]


def test_stages_have_sources_of_their_own() -> None:
    model = module("Model_pb2").Model(specificationVersion=7)
    array(model.description.input, "x", [2])
    array(model.description.output, "z", [2])
    relu(model.pipeline.models.add(), "x", "y")
    relu(model.pipeline.models.add(), "y", "z")
    found = parse(model)
    assert isinstance(found, Pipeline)
    one, other = (stage.model.sources for stage in found.stages)  # type: ignore[union-attr]
    assert one != other


def _neural(model: Message) -> None:
    model.pipeline.models[0].neuralNetwork.SetInParent()


def _nested(model: Message) -> None:
    model.pipeline.models[0].pipeline.SetInParent()


def _updatable(model: Message) -> None:
    model.isUpdatable = True


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (_neural, ModelTypeError, "stage 0 .'detector'. of the pipeline is not an ML Program"),
        (_nested, ModelTypeError, "found a pipeline"),
        (_updatable, ModelTypeError, "updatable"),
        (lambda m: m.pipeline.names.append("more"), ModelError, "found 3 names; expected 2"),
        (lambda m: m.pipeline.names.__setitem__(1, "detector"), ModelError, "one name"),
        (lambda m: m.pipeline.Clear() or m.pipeline.SetInParent(), ModelError, "no stage"),
        (lambda m: m.description.input.pop(), ModelError, "'nms'.*takes.*found boxes"),
        (lambda m: array(m.description.output, "ghost", [1]), ModelError, "returns.*found ghost"),
    ],
)
def test_pipelines_that_cannot_run(
    edit: Callable[[Message], Any], error: type[Exception], words: str
) -> None:
    model = pipeline()
    edit(model)
    with pytest.raises(error, match=words):
        parse(model)


def test_every_other_kind_is_refused_with_what_it_is() -> None:
    """Whatever kinds the protobuf knows: none is executed, none is a crash."""
    message = module("Model_pb2").Model
    kinds = [field.name for field in message.DESCRIPTOR.oneofs_by_name["Type"].fields]
    assert len(kinds) > 25
    for kind in kinds:
        if kind == "mlProgram" or kind.startswith("pipeline"):
            continue
        model = message(specificationVersion=1)
        getattr(model, kind).SetInParent()
        with pytest.raises(ModelTypeError, match="the model is not an ML Program; found") as caught:
            parse(model)
        assert caught.value.hint
    with pytest.raises(ModelTypeError, match="no model at all"):
        parse(message(specificationVersion=1))


@pytest.mark.parametrize("make", [lambda: relu(module("Model_pb2").Model()), pipeline])
def test_damaged_bytes_only_ever_raise_our_errors(make: Callable[[], Message]) -> None:
    data = make().SerializeToString()
    generator = np.random.default_rng(11)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(int(generator.integers(1, 4))):
            damaged[int(generator.integers(len(damaged)))] = int(generator.integers(256))
        if generator.random() < 0.2:
            del damaged[int(generator.integers(len(damaged))) :]
        try:
            parse_model(memoryview(bytes(damaged)), Directory("m", {}), PurePosixPath())
        except EtCoreMLError:
            continue
        except Exception as error:
            raise AssertionError(f"bytes {bytes(damaged).hex()}") from error


def test_numbers_that_do_not_fit_are_refused() -> None:
    model = relu(module("Model_pb2").Model())
    block = model.mlProgram.functions["main"].block_specializations["CoreML6"]
    value = block.operations[0].attributes["name"]
    value.type.tensorType.dataType = 21
    value.immediateValue.tensor.ints.values.append(1000)
    with pytest.raises(ModelError, match="no numbers of type int8"):
        parse(model)


def test_bytes_that_are_no_specification() -> None:
    with pytest.raises(PackageError, match="not a serialised Core ML specification"):
        parse_model(memoryview(b"\xff" * 9), Directory("m", {}), PurePosixPath())
