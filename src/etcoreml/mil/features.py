"""The described interface of a model, from its protobuf description.

Enters: ``ModelDescription`` and ``FunctionDescription`` messages. Leaves: :class:`Signature`.

Source: coremltools 9.0 ``Model.proto`` and ``FeatureTypes.proto``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from etcoreml.mil.program import Feature, ImageFormat, Range, Signature
from etcoreml.types import BY_NAME

Message = Any

_COLOR_SPACES = MappingProxyType({10: "GRAYSCALE", 20: "RGB", 30: "BGR", 40: "GRAYSCALE_FLOAT16"})
_ARRAY_DTYPES = MappingProxyType(
    {
        65552: BY_NAME["fp16"],
        65568: BY_NAME["fp32"],
        65600: BY_NAME["fp64"],
        131104: BY_NAME["int32"],
        131080: BY_NAME["int8"],
    }
)
_DEFAULTS = ("intDefaultValue", "floatDefaultValue", "doubleDefaultValue")


def decode_signature(message: Message) -> Signature:
    """Turn a description into a signature.

    Args:
        message: A ``ModelDescription`` or ``FunctionDescription``.
    """
    return Signature(
        inputs=tuple(_feature(item) for item in message.input),
        outputs=tuple(_feature(item) for item in message.output),
        states=tuple(_feature(item) for item in message.state),
        predicted_feature=message.predictedFeatureName,
        predicted_probabilities=message.predictedProbabilitiesName,
    )


def _feature(message: Message) -> Feature:
    kind = (message.type.WhichOneof("Type") or "").removesuffix("Type")
    details: Mapping[str, Any] = {}
    if kind == "multiArray":
        details = _array(message.type.multiArrayType)
    elif kind == "state":
        details = _array(message.type.stateType.arrayType)
    elif kind == "image":
        details = {"image": _image(message.type.imageType)}
    elif kind == "dictionary":
        key = message.type.dictionaryType.WhichOneof("KeyType") or ""
        details = {"item": key.removesuffix("KeyType")}
    elif kind == "sequence":
        sequence = message.type.sequenceType
        item = (sequence.WhichOneof("Type") or "").removesuffix("Type")
        limits = (_range(sequence.sizeRange),) if sequence.HasField("sizeRange") else ()
        details = {"item": item, "ranges": limits}
    return Feature(
        name=message.name,
        kind=kind,
        optional=message.type.isOptional,
        description=message.shortDescription,
        **details,
    )


def _array(message: Message) -> dict[str, Any]:
    flexibility = message.WhichOneof("ShapeFlexibility")
    enumerated: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[Range, ...] = ()
    if flexibility == "enumeratedShapes":
        enumerated = tuple(tuple(item.shape) for item in message.enumeratedShapes.shapes)
    elif flexibility == "shapeRange":
        ranges = _ranges(message.shapeRange.sizeRanges)
    given = message.WhichOneof("defaultOptionalValue")
    return {
        "dtype": _ARRAY_DTYPES.get(message.dataType),
        "shape": tuple(message.shape),
        "ranges": ranges,
        "enumerated": enumerated,
        "default": getattr(message, given) if given in _DEFAULTS else None,
    }


def _image(message: Message) -> ImageFormat:
    flexibility = message.WhichOneof("SizeFlexibility")
    varies = flexibility == "imageSizeRange"
    limits = message.imageSizeRange
    return ImageFormat(
        height=message.height,
        width=message.width,
        color_space=_COLOR_SPACES.get(message.colorSpace, "INVALID"),
        sizes=tuple((size.height, size.width) for size in message.enumeratedSizes.sizes),
        height_range=_range(limits.heightRange) if varies else None,
        width_range=_range(limits.widthRange) if varies else None,
    )


def _ranges(messages: Iterable[Message]) -> tuple[Range, ...]:
    return tuple(_range(message) for message in messages)


def _range(message: Message) -> Range:
    upper = int(message.upperBound)
    return int(message.lowerBound), None if upper < 0 else upper
