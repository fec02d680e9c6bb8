"""Programs printed as the text of a compiled model, and compared part by part.

Written for tests, against the same published models as the parser: it lets every package that
coremltools converts pass through the text. It prints both spellings of the text.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from etcoreml.mil.program import (
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
)

_NUMBERS = MappingProxyType(
    {
        "fp16": 1, "fp32": 2, "uint8": 3, "int8": 4, "int16": 6, "uint16": 7, "int4": 8,
        "uint1": 9, "uint2": 10, "uint4": 11, "uint3": 12, "uint6": 13, "int32": 14, "uint32": 15,
    }
)  # fmt: skip
"""Dtypes by their number in a weight file, as coremltools' writer has them."""


class Printer:
    """Prints one program.

    Args:
        version: ``1.0`` or ``1.3``: the spelling.
        inline: Tensors of at most so many elements are written into the text, others into
            ``weights``.

    Attributes:
        weights: The weight file written so far.
    """

    def __init__(self, version: str, inline: int = 64) -> None:
        self.version = version
        self.inline = inline
        self.weights = bytearray(struct.pack("<II56x", 0, 2))

    def program(self, program: MilProgram) -> str:
        string = self.type(StringType())
        functions = "".join(self.function(f) for f in program.functions.values())
        return (
            f"program({self.version})\n"
            f'[buildInfo = dict<{string}, {string}>({{{{"coremlc-version", "3404.23.1"}}}})]\n'
            f"{{\n{functions}}}"
        )

    def function(self, function: Function) -> str:
        parameters = self.outputs((*function.inputs, *function.states))
        opset = f"ios{10 + int(function.opset.removeprefix('CoreML'))}"
        body = self.body(function.block, " " * 8)
        return f"    func {function.name}<{opset}>({parameters}) {body};\n"

    def body(self, block: Block, indent: str) -> str:
        lines = "".join(f"{indent}    {self.operation(op, indent)};\n" for op in block.operations)
        return f"{{\n{lines}{indent}}} -> ({', '.join(block.outputs)})"

    def operation(self, operation: Operation, indent: str) -> str:
        inputs = ", ".join(
            f"{key} = {self.arguments(arguments)}"
            for key, arguments in sorted(operation.inputs.items())
        )
        attributes = ", ".join(
            f"{key} = {self.constant(value)}" for key, value in sorted(operation.attributes.items())
        )
        blocks = "".join(
            f" block{index}({self.outputs(block.inputs)}) {self.body(block, indent + '    ')}"
            for index, block in enumerate(operation.blocks)
        )
        defines = f"{self.outputs(operation.outputs)} = " if operation.outputs else ""
        suffix = f"[{attributes}]" if attributes else ""
        return f"{defines}{operation.type}({inputs}){suffix}{blocks}"

    def arguments(self, arguments: tuple[Any, ...]) -> str:
        printed = [a if isinstance(a, str) else self.constant(a) for a in arguments]
        return printed[0] if len(printed) == 1 else f"({', '.join(printed)})"

    def outputs(self, outputs: Iterable[Output]) -> str:
        return ", ".join(f"{self.type(output.type)} {output.name}" for output in outputs)

    def type(self, type_: Any) -> str:
        if isinstance(type_, StateType):
            return f"state<{self.type(type_.tensor)}>"
        if isinstance(type_, ListType):
            length = "?" if type_.length is None else type_.length
            return f"list<{self.type(type_.element)}, {length}>"
        if isinstance(type_, TupleType):
            return f"tuple<{', '.join(self.type(item) for item in type_.elements)}>"
        if isinstance(type_, DictionaryType):
            return f"dict<{self.type(type_.key)}, {self.type(type_.value)}>"
        name = "string" if isinstance(type_, StringType) else str(type_.dtype)
        if type_.shape == () and self.version != "1.0":
            return name
        sizes = ", ".join("?" if size is None else str(size) for size in type_.shape)
        return f"tensor<{name}, [{sizes}]>"

    def constant(self, constant: Constant) -> str:
        type_ = constant.type
        if (
            isinstance(type_, TensorType)
            and isinstance(constant.data, np.ndarray)
            and type_.dtype.name in _NUMBERS
            and constant.unpack().size > self.inline
        ):
            return f"{self.type(type_)}({self.stored(constant, type_)})"
        return f"{self.type(type_)}({self.value(constant)})"

    def stored(self, constant: Constant, type_: TensorType) -> str:
        data = np.asarray(constant.data).tobytes()
        self.weights += b"\0" * (-len(self.weights) % 64)
        record = len(self.weights)
        head = (0xDEADBEEF, _NUMBERS[type_.dtype.name], len(data), record + 64, 0)
        self.weights += struct.pack("<IIQQQ32x", *head) + data
        path = f'{self.type(StringType())}("@model_path/weights/weight.bin")'
        offset = "tensor<uint64, []>" if self.version == "1.0" else "uint64"
        return f"BLOBFILE(path = {path}, offset = {offset}({record}))"

    def value(self, constant: Constant) -> str:
        type_, data = constant.type, constant.data
        if isinstance(data, str):
            return quoted(data)
        if isinstance(type_, StringType):
            return f"[{', '.join(map(quoted, data))}]"  # type: ignore[arg-type]
        if isinstance(type_, ListType):
            return f"[{', '.join(map(self.value, data))}]"  # type: ignore[arg-type]
        if isinstance(type_, TupleType):
            return f"({', '.join(map(self.value, data))})"  # type: ignore[arg-type]
        if isinstance(type_, DictionaryType):
            pairs = (f"{{{self.value(k)}, {self.value(v)}}}" for k, v in data)  # type: ignore[misc]
            return f"{{{', '.join(pairs)}}}"
        return numbers(constant.unpack())


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def numbers(array: Any) -> str:
    """Print numbers in nested brackets, floats in hexadecimal as C's ``%a`` does."""
    if array.ndim:
        return f"[{', '.join(numbers(row) for row in array)}]"
    if array.dtype == np.bool_:
        return str(bool(array)).lower()
    if not np.issubdtype(array.dtype, np.floating):
        return str(int(array))
    if not np.isfinite(array):
        return str(float(array))
    mantissa, _, exponent = float(array).hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa if mantissa[-1] != 'x' else mantissa + '0'}p{exponent}"


def compiled_files(
    program: MilProgram, version: str = "1.0", metadata: object = None
) -> dict[str, Any]:
    """Return what a compiled model's folder would hold, as nested mappings."""
    printer = Printer(version)
    files: dict[str, Any] = {"model.mil": printer.program(program).encode()}
    files["weights"] = {"weight.bin": bytes(printer.weights)}
    if metadata is not None:
        files["metadata.json"] = json.dumps([metadata]).encode()
    return files


def assert_same_functions(found: Mapping[str, Function], wanted: Mapping[str, Function]) -> None:
    """Compare every operation, operand, attribute and type."""
    assert list(found) == list(wanted)
    for name, function in wanted.items():
        other = found[name]
        assert (other.opset, other.inputs, other.states) == (
            function.opset,
            function.inputs,
            function.states,
        )
        _same_block(other.block, function.block)


def _same_block(found: Block, wanted: Block) -> None:
    assert (found.inputs, found.outputs) == (wanted.inputs, wanted.outputs)
    assert len(found.operations) == len(wanted.operations)
    for one, other in zip(found.operations, wanted.operations, strict=True):
        assert (one.type, one.name, one.outputs) == (other.type, other.name, other.outputs)
        assert one.inputs.keys() == other.inputs.keys()
        for key in one.inputs:
            pairs = zip(one.inputs[key], other.inputs[key], strict=True)
            for left, right in pairs:
                _same_value(left, right)
        assert one.attributes.keys() == other.attributes.keys()
        for key in one.attributes:
            _same_value(one.attributes[key], other.attributes[key])
        for left, right in zip(one.blocks, other.blocks, strict=True):
            _same_block(left, right)


def _same_value(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(found, tuple):
        assert len(found) == len(wanted)
        for left, right in zip(found, wanted, strict=True):
            _same_value(left, right)
    elif isinstance(found, Constant):
        assert found.type == wanted.type
        _same_value(found.data, wanted.data)
    elif isinstance(found, np.ndarray):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        floats = np.issubdtype(found.dtype, np.floating)
        np.testing.assert_array_equal(found, wanted)
        if floats:
            signs = ~np.isnan(found)
            np.testing.assert_array_equal(np.signbit(found[signs]), np.signbit(wanted[signs]))
    else:
        assert found == wanted
