"""The described interface of a compiled model: from ``metadata.json``, or from its program.

Enters: parsed JSON; a :class:`Function` and its attributes. Leaves: :class:`Signature`.

Source: ``metadata.json`` files (metadataOutputVersion 3.0) and function attributes that Apple's
compiler wrote for published models. Numbers and shapes stand there as strings. Enumerated shapes,
images and states were not among those models: their keys follow the same pattern.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from etcoreml.errors import PackageError
from etcoreml.mil.program import (
    Constant,
    DictionaryType,
    Feature,
    Function,
    ImageFormat,
    Output,
    Range,
    Signature,
    StateType,
    StringType,
    TensorType,
)
from etcoreml.types import BY_NAME

_METADATA = "metadata.json"
_FLEXIBILITY = "FlexibleShapeInformation"
_KINDS = MappingProxyType(
    {
        "MultiArray": "multiArray",
        "Image": "image",
        "Dictionary": "dictionary",
        "Sequence": "sequence",
        "String": "string",
        "Int64": "int64",
        "Double": "double",
        "State": "state",
    }
)
_DTYPES = MappingProxyType(
    {
        "Float16": BY_NAME["fp16"],
        "Float32": BY_NAME["fp32"],
        "Float64": BY_NAME["fp64"],
        "Double": BY_NAME["fp64"],
        "Int32": BY_NAME["int32"],
        "Int8": BY_NAME["int8"],
    }
)
_COLOR_SPACES = MappingProxyType(
    {
        "RGB": "RGB",
        "BGR": "BGR",
        "Grayscale": "GRAYSCALE",
        "GrayscaleFloat16": "GRAYSCALE_FLOAT16",
        "Grayscale16Half": "GRAYSCALE_FLOAT16",
    }
)


def described(metadata: Mapping[str, Any], derived: Signature) -> Signature:
    """Read a signature from ``metadata.json``.

    Args:
        metadata: The object of the model, or of one of its functions.
        derived: What the program says of the same interface; it completes the description where
            the file has no key for something (image sizes that vary, the names of a classifier's
            outputs).

    Raises:
        PackageError: An entry is malformed.
    """
    known = {f.name: f for f in (*derived.inputs, *derived.outputs, *derived.states)}
    return Signature(
        inputs=_features(metadata, "inputSchema", known),
        outputs=_features(metadata, "outputSchema", known),
        states=_features(metadata, "stateSchema", known),
        predicted_feature=derived.predicted_feature,
        predicted_probabilities=derived.predicted_probabilities,
    )


def _features(
    metadata: Mapping[str, Any], key: str, known: Mapping[str, Feature]
) -> tuple[Feature, ...]:
    entries = metadata.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        msg = f"{_METADATA}: {key} is not an array of objects"
        raise PackageError(msg, found=type(entries).__name__)
    return tuple(_feature(entry, key, known) for entry in entries)


def _feature(entry: Mapping[str, Any], schema: str, known: Mapping[str, Feature]) -> Feature:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        msg = f"{_METADATA}: an entry of {schema} has no name"
        raise PackageError(msg, found=repr(name))
    where = f"{_METADATA}: {name!r} of {schema}"
    kind = "state" if schema == "stateSchema" else _KINDS.get(str(entry.get("type")))
    if kind is None:
        msg = f"{where} is of an unknown type"
        raise PackageError(msg, found=repr(entry.get("type")), expected=", ".join(_KINDS))
    details: dict[str, Any] = {}
    if kind in ("multiArray", "state"):
        bounds = _numbers(entry, "shapeRange", where)
        details = {
            "dtype": _DTYPES.get(str(entry.get("dataType"))),
            "shape": tuple(_numbers(entry, "shape", where)),
            "ranges": tuple(_range(pair, where) for pair in bounds),
            "enumerated": tuple(tuple(row) for row in _numbers(entry, "enumeratedShapes", where)),
        }
    elif kind == "image":
        details = {"image": _image(entry, where, known.get(name))}
    elif kind in ("dictionary", "sequence"):
        item = str(entry.get("keyType" if kind == "dictionary" else "elementType", ""))
        details = {"item": item.lower() or (known[name].item if name in known else "")}
    return Feature(
        name=name,
        kind=kind,
        optional=str(entry.get("isOptional", "0")) == "1",
        description=str(entry.get("shortDescription", "")),
        **details,
    )


def _numbers(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Parse ``"[1, 2]"`` or ``"[[1, 2], [3, 4]]"``; absent means empty."""
    text = entry.get(key, "[]")
    try:
        value = json.loads(text) if isinstance(text, str) else text
        if not isinstance(value, list):
            msg = "not an array"
            raise TypeError(msg)
        rows = [row if isinstance(row, list) else [row] for row in value]
        if not all(isinstance(number, int) for row in rows for number in row):
            msg = "not integers"
            raise TypeError(msg)
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{where}: {key} is no array of integers"
        raise PackageError(msg, found=repr(text)[:80]) from error
    return rows if key != "shape" else [number for row in rows for number in row]


def _range(pair: list[int], where: str) -> Range:
    if len(pair) != 2:
        msg = f"{where}: a range is not a pair"
        raise PackageError(msg, found=pair)
    return pair[0], None if pair[1] < 0 else pair[1]


def _image(entry: Mapping[str, Any], where: str, derived: Feature | None) -> ImageFormat:
    color = _COLOR_SPACES.get(str(entry.get("colorspace")), "INVALID")
    try:
        height, width = int(entry["height"]), int(entry["width"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        msg = f"{where}: the image has no size"
        raise PackageError(msg, expected="height and width") from error
    # The last two axes of the program's (N, C, H, W).
    rows = derived.enumerated if derived else ()
    limits = derived.ranges[-2:] if derived else ()
    varies = len(limits) == 2 and any(low != high for low, high in limits)
    return ImageFormat(
        height,
        width,
        color,
        sizes=tuple((shape[-2], shape[-1]) for shape in rows if len(shape) > 1),
        height_range=limits[0] if varies else None,
        width_range=limits[1] if varies else None,
    )


def of_function(function: Function, attributes: Mapping[str, Constant]) -> Signature:
    """Read a signature off a function: its types, and how its shapes may vary.

    A size that varies without a word about it is given as 1 in ``shape`` and as (1, None) in
    ``ranges``.

    Args:
        function: The function.
        attributes: Its attributes.
    """
    flexibility = _flexibility(attributes)
    classify = next((op for op in function.block.walk() if op.type == "classify"), None)
    names = [output.name for output in classify.outputs] if classify else []
    names += [""] * (2 - len(names))
    return Signature(
        inputs=tuple(_derived(value, flexibility) for value in function.inputs),
        outputs=tuple(_derived(value, {}) for value in _results(function)),
        states=tuple(_derived(value, flexibility) for value in function.states),
        predicted_feature=names[0],
        predicted_probabilities=names[1],
    )


def _results(function: Function) -> tuple[Output, ...]:
    """Return the results that exist; :mod:`etcoreml.mil.validity` refuses others later."""
    types = {value.name: value for value in (*function.inputs, *function.states)}
    for operation in function.block.operations:
        types.update((value.name, value) for value in operation.outputs)
    return tuple(types[name] for name in function.block.outputs if name in types)


def _flexibility(attributes: Mapping[str, Constant]) -> dict[str, dict[str, Any]]:
    """Return, by kind of information and by input, what the function says of its shapes."""
    given = attributes.get(_FLEXIBILITY)
    value = given.python() if given is not None else ()
    pairs = value if isinstance(value, tuple) else ()
    return {
        pair[0]: pair[1]
        for pair in pairs
        if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], dict)
    }


def _derived(value: Output, flexibility: Mapping[str, Mapping[str, Any]]) -> Feature:
    type_ = value.type.tensor if isinstance(value.type, StateType) else value.type
    if isinstance(type_, StringType):
        return Feature(value.name, "string")
    if isinstance(type_, DictionaryType):
        return Feature(
            value.name,
            "dictionary",
            item="string" if isinstance(type_.key, StringType) else "int64",
        )
    if not isinstance(type_, TensorType):
        return Feature(value.name, "sequence")
    if type_.dtype.name == "int64" and type_.shape == ():
        return Feature(value.name, "int64")
    default = flexibility.get("DefaultShapes", {}).get(value.name)
    bounds = flexibility.get("RangeDims", {}).get(value.name)
    listed = flexibility.get("EnumeratedShapes", {}).values()
    enumerated = [shapes[value.name] for shapes in listed if _names(shapes, value.name)]
    shape = tuple(1 if size is None else size for size in type_.shape or ())
    ranges: tuple[Range, ...] = ()
    if bounds is not None:
        ranges = tuple((low, None if high < 0 else high) for low, high in map(_row, bounds))
    elif type_.shape is not None and None in type_.shape and not enumerated:
        ranges = tuple((1, None) if size is None else (size, size) for size in type_.shape)
    return Feature(
        value.name,
        "state" if isinstance(value.type, StateType) else "multiArray",
        dtype=type_.dtype,
        shape=_row(default) if default is not None else shape,
        ranges=ranges,
        enumerated=tuple(_row(item) for item in enumerated),
    )


def _names(shapes: object, name: str) -> bool:
    return isinstance(shapes, dict) and name in shapes


def _row(value: object) -> tuple[int, ...]:
    return tuple(int(size) for size in np.ravel(np.asarray(value)))
