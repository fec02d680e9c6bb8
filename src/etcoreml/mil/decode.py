"""Protobuf messages to the frozen program.

Enters: ``Model`` messages and a way to read weights. Leaves: :class:`MilProgram`.

Source: coremltools 9.0 ``MIL.proto`` and ``Model.proto``; which field of
``TensorValue`` holds which dtype was read off coremltools' writer and off Apple's files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any

import numpy as np

from etcoreml.errors import ModelError
from etcoreml.mil.features import decode_signature
from etcoreml.mil.program import (
    Argument,
    Array,
    Block,
    Constant,
    DictionaryType,
    Function,
    ListType,
    MilProgram,
    Operation,
    Output,
    StateType,
    StringType,
    TensorType,
    TupleType,
    ValueType,
)
from etcoreml.mil.weights import view
from etcoreml.types import BY_MIL, BY_NAME, DType

Message = Any
ReadBlob = Callable[[str, int, DType, tuple[int, ...], str], Array]
"""(file name, offset in bytes, dtype, shape, name of the value) -> array."""

_STRING = 2


def decode_model(model: Message, read_blob: ReadBlob) -> MilProgram:
    """Turn a ``Model`` of type mlProgram into a program.

    Args:
        model: A parsed ``CoreML.Specification.Model`` whose type is ``mlProgram``.
        read_blob: Reads an entry of a weight file.

    Raises:
        ModelError: The message is not a valid program.
        WeightError: A weight entry is invalid (from ``read_blob``).
    """
    description = model.description
    functions = {
        name: _function(name, message, read_blob)
        for name, message in sorted(model.mlProgram.functions.items())
    }
    signatures = {f.name: decode_signature(f) for f in description.functions}
    if not signatures:
        signatures = {"main": decode_signature(description)}
    default = description.defaultFunctionName or "main"
    if default not in functions:
        msg = "the model's default function does not exist"
        raise ModelError(
            msg,
            found=repr(default),
            expected=f"one of {sorted(functions)}",
        )
    metadata = description.metadata
    return MilProgram(
        functions=MappingProxyType(functions),
        default_function=default,
        spec_version=model.specificationVersion,
        signatures=MappingProxyType(signatures),
        user_defined=MappingProxyType(dict(sorted(metadata.userDefined.items()))),
        author=metadata.author,
        license=metadata.license,
        version=metadata.versionString,
        description=metadata.shortDescription,
    )


def _function(name: str, message: Message, read_blob: ReadBlob) -> Function:
    if message.opset not in message.block_specializations:
        msg = f"function {name!r} has no body for its opset"
        raise ModelError(
            msg,
            found=sorted(message.block_specializations),
            expected=message.opset,
        )
    values = [_output(value) for value in message.inputs]
    return Function(
        name=name,
        opset=message.opset,
        inputs=tuple(v for v in values if not isinstance(v.type, StateType)),
        states=tuple(v for v in values if isinstance(v.type, StateType)),
        block=_block(message.block_specializations[message.opset], read_blob),
    )


def _block(message: Message, read_blob: ReadBlob) -> Block:
    return Block(
        inputs=tuple(_output(value) for value in message.inputs),
        operations=tuple(_operation(op, read_blob) for op in message.operations),
        outputs=tuple(message.outputs),
    )


def _operation(message: Message, read_blob: ReadBlob) -> Operation:
    outputs = tuple(_output(value) for value in message.outputs)
    name = outputs[0].name if outputs else ""
    attributes = {
        key: _constant(value, read_blob, f"{name}.{key}")
        for key, value in message.attributes.items()
    }
    given = attributes.get("name")
    if given is not None and isinstance(given.data, str):
        name = given.data
    inputs = {
        key: tuple(_argument(binding, read_blob, f"{name}.{key}") for binding in value.arguments)
        for key, value in message.inputs.items()
    }
    return Operation(
        type=message.type,
        name=name,
        inputs=MappingProxyType(inputs),
        outputs=outputs,
        attributes=MappingProxyType(attributes),
        blocks=tuple(_block(block, read_blob) for block in message.blocks),
    )


def _argument(binding: Message, read_blob: ReadBlob, what: str) -> Argument:
    if binding.WhichOneof("binding") == "name":
        return str(binding.name)
    return _constant(binding.value, read_blob, what)


def _output(message: Message) -> Output:
    return Output(message.name, _type(message.type, message.name))


def _type(message: Message, what: str) -> ValueType:
    kind = message.WhichOneof("type")
    if kind == "tensorType":
        tensor = message.tensorType
        shape = _shape(tensor.dimensions)
        if tensor.dataType == _STRING:
            return StringType(shape)
        if tensor.dataType not in BY_MIL:
            msg = f"{what}: unknown element type"
            raise ModelError(
                msg,
                found=f"number {tensor.dataType}",
                expected=f"one of {sorted(BY_NAME)}",
            )
        return TensorType(BY_MIL[tensor.dataType], shape)
    if kind == "listType":
        (length,) = _shape([message.listType.length]) or (None,)
        return ListType(_type(message.listType.type, what), length)
    if kind == "tupleType":
        return TupleType(tuple(_type(item, what) for item in message.tupleType.types))
    if kind == "dictionaryType":
        dictionary = message.dictionaryType
        return DictionaryType(_type(dictionary.keyType, what), _type(dictionary.valueType, what))
    if kind == "stateType":
        wrapped = _type(message.stateType.wrappedType, what)
        if not isinstance(wrapped, TensorType):
            msg = f"{what}: a state must wrap a tensor"
            raise ModelError(msg, found=wrapped)
        return StateType(wrapped)
    msg = f"{what}: the type is missing"
    raise ModelError(msg)


def _shape(dimensions: Iterable[Message]) -> tuple[int | None, ...] | None:
    shape: list[int | None] = []
    for dimension in dimensions:
        if dimension.WhichOneof("dimension") == "constant":
            shape.append(int(dimension.constant.size))
        elif dimension.unknown.variadic:
            return None
        else:
            shape.append(None)
    return tuple(shape)


def _constant(message: Message, read_blob: ReadBlob, what: str) -> Constant:
    type_ = _type(message.type, what)
    if message.WhichOneof("value") == "blobFileValue":
        if not isinstance(type_, TensorType):
            msg = f"{what}: only tensors live in weight files"
            raise ModelError(msg, found=type_)
        file = message.blobFileValue
        shape = _static(type_, what)
        return Constant(type_, read_blob(file.fileName, file.offset, type_.dtype, shape, what))
    value = message.immediateValue
    kind = value.WhichOneof("value")
    if isinstance(type_, TensorType) and kind == "tensor":
        return Constant(type_, _tensor(value.tensor, type_, what))
    if isinstance(type_, StringType) and kind == "tensor":
        strings = tuple(value.tensor.strings.values)
        if type_.shape == () and len(strings) == 1:
            return Constant(type_, str(strings[0]))
        return Constant(type_, strings)
    if isinstance(type_, (ListType, TupleType)) and kind in ("list", "tuple"):
        items = getattr(value, kind).values
        return Constant(type_, tuple(_constant(item, read_blob, what) for item in items))
    if isinstance(type_, DictionaryType) and kind == "dictionary":
        pairs = (
            (_constant(pair.key, read_blob, what), _constant(pair.value, read_blob, what))
            for pair in value.dictionary.values
        )
        return Constant(type_, tuple(pairs))
    msg = f"{what}: the value does not match its type"
    raise ModelError(msg, found=kind, expected=type_)


def _static(type_: TensorType, what: str) -> tuple[int, ...]:
    if type_.shape is None or None in type_.shape:
        msg = f"{what}: a constant must have a fixed shape"
        raise ModelError(msg, found=type_)
    return tuple(int(size or 0) for size in type_.shape)


def _tensor(message: Message, type_: TensorType, what: str) -> Array:
    shape, dtype = _static(type_, what), type_.dtype
    count = math.prod(shape)
    field = message.WhichOneof("value")
    values = getattr(message, field).values if field else b""
    found = len(values)
    if field == "bytes":
        if found == dtype.nbytes(count):
            return view(values, dtype, shape)
        msg = f"{what}: wrong number of bytes for {type_}"
        raise ModelError(msg, found=found, expected=dtype.nbytes(count))
    if dtype.is_packed:
        msg = f"{what}: a packed tensor must be given as bytes"
        raise ModelError(msg, found=field)
    if found != count:
        msg = f"{what}: wrong number of elements for {type_}"
        raise ModelError(msg, found=found, expected=count)
    try:
        given = np.array(values)
        array = given.astype(dtype.storage).reshape(shape)
    except (ValueError, TypeError) as error:
        msg = f"{what}: the elements are no numbers of type {type_}"
        raise ModelError(msg, found=error) from error
    if count and given.dtype.kind in "iu" and not np.array_equal(given, array.ravel()):
        msg = f"{what}: the elements are no numbers of type {type_}"
        raise ModelError(msg, found=f"{given.min()} to {given.max()}")
    array.flags.writeable = False
    return array
