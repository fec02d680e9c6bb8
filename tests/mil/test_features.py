"""Descriptions of inputs and outputs. Oracle: messages written field by field."""

from __future__ import annotations

from typing import Any

import pytest

from etcoreml.mil.features import decode_signature
from etcoreml.mil.program import Feature, ImageFormat
from etcoreml.mil.proto import module
from etcoreml.types import BY_NAME


def described(edit: Any) -> Feature:
    """Return the one input of a description."""
    message = module("Model_pb2").ModelDescription()
    feature = message.input.add(name="x", shortDescription="words")
    edit(feature.type)
    (found,) = decode_signature(message).inputs
    assert (found.name, found.description) == ("x", "words")
    return found


@pytest.mark.parametrize(
    ("number", "name"),
    [(65552, "fp16"), (65568, "fp32"), (65600, "fp64"), (131104, "int32"), (131080, "int8")],
)
def test_arrays(number: int, name: str) -> None:
    def edit(type_: Any) -> None:
        type_.multiArrayType.dataType = number
        type_.multiArrayType.shape.extend([1, 3])

    assert described(edit) == Feature("x", "multiArray", BY_NAME[name], (1, 3), description="words")


@pytest.mark.parametrize(
    ("field", "value"),
    [("intDefaultValue", -3), ("floatDefaultValue", 0.5), ("doubleDefaultValue", 0.25)],
)
def test_optional_arrays_have_defaults(field: str, value: float) -> None:
    def edit(type_: Any) -> None:
        setattr(type_.multiArrayType, field, value)
        type_.isOptional = True

    found = described(edit)
    assert found.optional
    assert found.default == value
    assert type(found.default) is type(value)


def test_a_default_of_zero_is_one() -> None:
    assert described(lambda t: setattr(t.multiArrayType, "intDefaultValue", 0)).default == 0
    assert described(lambda t: t.multiArrayType.SetInParent()).default is None


def test_shapes_that_vary() -> None:
    def ranges(type_: Any) -> None:
        for low, high in ((1, 1), (2, 8), (0, -1)):
            type_.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)

    def listed(type_: Any) -> None:
        for shape in ((1, 2), (1, 4)):
            type_.multiArrayType.enumeratedShapes.shapes.add(shape=shape)

    assert described(ranges).ranges == ((1, 1), (2, 8), (0, None))
    assert described(listed).enumerated == ((1, 2), (1, 4))


@pytest.mark.parametrize(
    ("number", "name"), [(10, "GRAYSCALE"), (20, "RGB"), (30, "BGR"), (40, "GRAYSCALE_FLOAT16")]
)
def test_images(number: int, name: str) -> None:
    def edit(type_: Any) -> None:
        type_.imageType.height, type_.imageType.width = 4, 6
        type_.imageType.colorSpace = number

    assert described(edit).image == ImageFormat(4, 6, name)


def test_images_of_several_sizes() -> None:
    def listed(type_: Any) -> None:
        for height, width in ((4, 6), (8, 12)):
            type_.imageType.enumeratedSizes.sizes.add(height=height, width=width)

    def ranges(type_: Any) -> None:
        limits = type_.imageType.imageSizeRange
        limits.heightRange.lowerBound, limits.heightRange.upperBound = 4, 8
        limits.widthRange.lowerBound, limits.widthRange.upperBound = 6, -1

    image = described(listed).image
    assert image is not None
    assert (image.sizes, image.height_range) == (((4, 6), (8, 12)), None)
    image = described(ranges).image
    assert image is not None
    assert (image.height_range, image.width_range) == ((4, 8), (6, None))


@pytest.mark.parametrize(
    ("edit", "kind", "item"),
    [
        (lambda t: t.int64Type.SetInParent(), "int64", ""),
        (lambda t: t.doubleType.SetInParent(), "double", ""),
        (lambda t: t.stringType.SetInParent(), "string", ""),
        (lambda t: t.dictionaryType.stringKeyType.SetInParent(), "dictionary", "string"),
        (lambda t: t.dictionaryType.int64KeyType.SetInParent(), "dictionary", "int64"),
        (lambda t: t.sequenceType.stringType.SetInParent(), "sequence", "string"),
        (lambda t: t.stateType.arrayType.SetInParent(), "state", ""),
        (lambda t: None, "", ""),
    ],
)
def test_other_kinds(edit: Any, kind: str, item: str) -> None:
    found = described(edit)
    assert (found.kind, found.item) == (kind, item)


def test_sequences_have_a_length() -> None:
    def edit(type_: Any) -> None:
        type_.sequenceType.int64Type.SetInParent()
        type_.sequenceType.sizeRange.lowerBound = 1
        type_.sequenceType.sizeRange.upperBound = -1

    assert described(edit).ranges == ((1, None),)


def test_names_of_a_classifiers_outputs() -> None:
    message = module("Model_pb2").FunctionDescription(
        predictedFeatureName="label", predictedProbabilitiesName="odds"
    )
    found = decode_signature(message)
    assert (found.predicted_feature, found.predicted_probabilities) == ("label", "odds")
