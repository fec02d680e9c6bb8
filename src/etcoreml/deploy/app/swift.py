"""Typed inputs and outputs in Swift, one pair for each method of a .pte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etcoreml.deploy.app.model import AppMethod, AppModel, AppValue
from etcoreml.deploy.app.templates import generated_from

_SCALARS = {"int": "Int", "double": "Double", "bool": "Bool"}
_SAMPLES = {"int": "1", "double": "1.0", "bool": "true"}
_ELEMENTS = {
    "float32": "Float",
    "float16": "Float16",
    "float64": "Double",
    "int64": "Int64",
    "int32": "Int32",
    "int16": "Int16",
    "int8": "Int8",
    "uint8": "UInt8",
    "bool": "Bool",
}


def method_type(name: str) -> str:
    """Return the Swift type of a method.

    >>> method_type("forward"), method_type("decode_step")
    ('ForwardMethod', 'DecodeStepMethod')
    """
    words = "".join(c if c.isalnum() and c.isascii() else " " for c in name).split()
    return "".join(word[0].upper() + word[1:] for word in words) + "Method"


def wrappers(model: AppModel, source: str) -> str:
    """Return a Swift file with a type for each method.

    Args:
        model: The program.
        source: What it was read from, for the head of the file.
    """
    head = [
        generated_from(source),
        "",
        "import ExecuTorch",
        "import Foundation",
    ]
    return "\n".join([*head, *(line for each in model.methods for line in _method(each))]) + "\n"


def _method(method: AppMethod) -> Iterable[str]:
    return [
        "",
        f"/// The method `{method.name}`.",
        f"enum {method_type(method.name)} {{",
        f'  static let name = "{method.name}"',
        "",
        *_input(method),
        "",
        *_output(method),
        "}",
    ]


def _input(method: AppMethod) -> Iterable[str]:
    values = method.inputs
    samples = ", ".join(f"{each.variable}: {_sample(each)}" for each in values)
    yield "  /// What it takes."
    yield "  struct Input {"
    for each in values:
        yield f"    /// {_described(each)}"
        yield f"    var {each.variable}: {_type(each)}"
    if values:
        yield ""
    yield "    /// Numbers of no meaning, to see it run."
    yield "    static var sample: Input {"
    yield f"      Input({samples})"
    yield "    }"
    yield ""
    yield "    /// The arguments of a call."
    yield "    func values() throws -> [ValueConvertible] {"
    yield "      ["
    for each in values:
        yield from (f"        {line}" for line in _argument(each))
    yield "      ]"
    yield "    }"
    yield "  }"


def _output(method: AppMethod) -> Iterable[str]:
    values = method.outputs
    yield "  /// What it returns."
    yield "  struct Output {"
    for each in values:
        yield f"    /// {_described(each)}"
        yield f"    let {each.variable}: {_type(each)}"
    yield ""
    yield "    init(_ values: [Value]) throws {"
    yield f"      guard values.count == {len(values)} else {{"
    yield f'        throw ModelError("\\(values.count) outputs, where {len(values)} are declared")'
    yield "      }"
    for i, each in enumerate(values):
        yield f"      {each.variable} = {_result(each, i)}"
    yield "    }"
    yield ""
    tensors = [each for each in values if each.is_tensor]
    yield "    /// Name, shape and declared shape of each tensor."
    yield "    var shapes: [(String, [Int], [Int])] {"
    yield from _listed(
        f'("{each.variable}", {each.variable}.shape, {_shape(each.tensor.shape)})'
        for each in tensors
    )
    yield "    }"
    yield ""
    yield "    /// A line for each output."
    yield "    var summary: [String] {"
    yield from _listed(
        f'"{each.variable} \\({each.variable}{".summary" if each.is_tensor else ""})"'
        for each in values
    )
    yield "    }"
    yield "  }"


def _listed(items: Iterable[str]) -> Iterable[str]:
    lines = [f"        {item}," for item in items]
    return ["      [", *lines, "      ]"] if lines else ["      []"]


def _type(value: AppValue) -> str:
    tensor = value.tensor
    if not value.is_tensor:
        return _SCALARS[tensor.kind]
    return f"TypedTensor<{_ELEMENTS[tensor.dtype or '']}>"


def _sample(value: AppValue) -> str:
    tensor = value.tensor
    if not value.is_tensor:
        return _SAMPLES[tensor.kind]
    return f".sample(shape: {_shape(tensor.shape)})"


def _argument(value: AppValue) -> Sequence[str]:
    if not value.is_tensor:
        return [f"{value.variable},"]
    tensor = value.tensor
    return [
        f"try {value.variable}.tensor(",
        f'  name: "{value.variable}",',
        f"  declared: {_shape(tensor.shape)},",
        f"  varies: {str(tensor.dynamic).lower()},",
        f"  dimensionOrder: {_shape(tensor.dim_order)}",
        "),",
    ]


def _result(value: AppValue, index: int) -> str:
    if not value.is_tensor:
        return f"try {_type(value)}(values[{index}])"
    return f'try TypedTensor(values[{index}], name: "{value.variable}")'


def _shape(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _described(value: AppValue) -> str:
    feature = f"Core ML feature `{value.feature}`" if value.feature else "Not of a Core ML model"
    if not value.is_tensor:
        return f"{feature}: a number."
    tensor = value.tensor
    order = (
        f" Memory order {_shape(tensor.dim_order)}."
        if tuple(tensor.dim_order) != tuple(range(len(tensor.shape)))
        else ""
    )
    return f"{feature}: {tensor}, {tensor.dtype}.{order}"
