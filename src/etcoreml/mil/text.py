"""MIL text, the ``model.mil`` of a compiled model, to functions.

Enters: the text. Leaves: :class:`MilText`, of the same dataclasses that a package decodes to.

::

    program(1.0)
    [buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-version", "3404.23.1"}})]
    {
        func main<ios16>(tensor<fp16, [1, ?]> x) [FlexibleShapeInformation = ...] {
                tensor<int32, []> axis = const()[name = ..., val = tensor<int32, []>(0)];
                tensor<fp16, [2, ?]> y = concat(axis = axis, values = (x, x))[name = ...];
            } -> (y);
    }

An operation is ``type name, type name = op(input = value, ...)[attribute = constant, ...];``,
without ``type name =`` where it defines nothing. A value is a name, a constant, or several of
them in parentheses. Bodies of ``cond`` and ``while_loop`` stand before the semicolon, each
``name(type name, ...) { ... } -> (name, ...)``; name and parameters may be missing. No published
model with such bodies was found: their spelling is that of a function.

Source: as ``text_values.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from etcoreml.mil.cursor import Cursor
from etcoreml.mil.decode import ReadBlob
from etcoreml.mil.program import (
    Argument,
    Block,
    Constant,
    Function,
    Operation,
    Output,
    StateType,
)
from etcoreml.mil.text_values import is_type, parse_constant, parse_type

_VERSION = re.compile(r"\s*([\d.]+)", re.ASCII)
_OPSET = re.compile(r"\s*ios(\d{2})\s*>", re.ASCII)
_VERSIONS = ("1.0", "1.3")
_OLDEST_IOS = 15


@dataclass(frozen=True, eq=False)
class MilText:
    """A parsed text.

    Attributes:
        version: ``1.0`` or ``1.3``: the version of the syntax.
        functions: By name, in the order of the text.
        attributes: Of each function, e.g. ``FlexibleShapeInformation``.
    """

    version: str
    functions: Mapping[str, Function]
    attributes: Mapping[str, Mapping[str, Constant]]


def parse_text(text: str, read_blob: ReadBlob, name: str = "model.mil") -> MilText:
    """Parse MIL text, in time linear in its length.

    Args:
        text: The text.
        read_blob: Reads an entry of a weight file.
        name: Its file, for messages.

    Raises:
        ModelError: The text breaks a rule of the syntax; the message names line and column.
        WeightError: A weight entry is invalid (from ``read_blob``).
    """
    return _Parser(Cursor(text, name), read_blob).program()


class _Parser:
    def __init__(self, cursor: Cursor, read_blob: ReadBlob) -> None:
        self.cursor = cursor
        self.read_blob = read_blob

    def program(self) -> MilText:
        cursor = self.cursor
        if cursor.peek_word() != "program":
            cursor.fail("the text does not start as MIL text does", expected="'program'")
        cursor.word("the program")
        cursor.expect("(", "the program's version")
        start = cursor.skip()
        match = cursor.match(_VERSION)
        if match is None or match[1] not in _VERSIONS:
            known = " or ".join(_VERSIONS)
            cursor.fail("the version of the syntax is unknown", at=start, expected=known)
        cursor.expect(")", "the program's version")
        self.attributes("program")
        cursor.expect("{", "the program")
        functions: dict[str, Function] = {}
        attributes: dict[str, Mapping[str, Constant]] = {}
        while not cursor.accept("}"):
            start = cursor.skip()
            function, extra = self.function()
            if function.name in functions:
                cursor.fail(f"function {function.name!r} is defined a second time", at=start)
            functions[function.name] = function
            attributes[function.name] = extra
        if not cursor.ended():
            cursor.fail("something follows the program")
        return MilText(match[1], MappingProxyType(functions), MappingProxyType(attributes))

    def function(self) -> tuple[Function, Mapping[str, Constant]]:
        cursor = self.cursor
        if cursor.peek_word() != "func":
            cursor.fail("the program is not closed", expected="'func' or '}'")
        cursor.word("a function")
        name = cursor.word("a function")
        cursor.expect("<", f"the opset of function {name!r}")
        start = cursor.skip()
        match = cursor.match(_OPSET)
        if match is None or int(match[1]) < _OLDEST_IOS:
            known = "'ios15>' or later"
            cursor.fail(f"the opset of function {name!r} is unknown", at=start, expected=known)
        cursor.expect("(", f"function {name!r}")
        parameters = self.parameters()
        attributes = self.attributes(name)
        block = self.body(parameters)
        cursor.expect(";", f"the end of function {name!r}")
        function = Function(
            name=name,
            opset=f"CoreML{int(match[1]) - 10}",
            inputs=tuple(p for p in parameters if not isinstance(p.type, StateType)),
            states=tuple(p for p in parameters if isinstance(p.type, StateType)),
            # A function's parameters are its own, not its block's, as in the protobuf.
            block=Block((), block.operations, block.outputs),
        )
        return function, attributes

    def parameters(self) -> tuple[Output, ...]:
        return tuple(self.output() for _ in self.cursor.items(")", "the list of parameters"))

    def output(self) -> Output:
        type_ = parse_type(self.cursor)
        return Output(self.cursor.word("a value"), type_)

    def body(self, parameters: tuple[Output, ...]) -> Block:
        cursor = self.cursor
        with cursor.nested():
            cursor.expect("{", "a body")
            operations = []
            while not cursor.accept("}"):
                operations.append(self.operation())
            cursor.expect("->", "a body")
            cursor.expect("(", "the results of a body")
            outputs = tuple(cursor.word("a result") for _ in cursor.items(")", "the results"))
        return Block(parameters, tuple(operations), outputs)

    def operation(self) -> Operation:
        cursor = self.cursor
        start = cursor.skip()
        type_ = cursor.word("an operation")
        outputs: list[Output] = []
        if not cursor.at("("):
            cursor.position = start
            for _ in cursor.items("=", "the list of an operation's outputs"):
                outputs.append(self.output())
            type_ = cursor.word("the type of an operation")
        label = outputs[0].name if outputs else type_
        cursor.expect("(", f"operation {label!r}")
        inputs: dict[str, tuple[Argument, ...]] = {}
        for _ in cursor.items(")", f"the inputs of {label!r}"):
            at = cursor.skip()
            key = cursor.word(f"an input of {label!r}")
            if key in inputs:
                cursor.fail(f"input {key!r} of {label!r} is given twice", at=at)
            cursor.expect("=", f"input {key!r} of {label!r}")
            inputs[key] = self.arguments(f"{label}.{key}")
        attributes = self.attributes(label)
        blocks = []
        while not cursor.accept(";"):
            if not (cursor.at("{") or cursor.at("(") or cursor.at(",") or cursor.peek_word()):
                cursor.fail(f"operation {label!r} is not closed", expected="';'")
            blocks.append(self.nested_block(label))
        given = attributes.get("name")
        name = given.data if given is not None and isinstance(given.data, str) else None
        return Operation(
            type=type_,
            name=name if name is not None else (label if outputs else ""),
            inputs=MappingProxyType(inputs),
            outputs=tuple(outputs),
            attributes=attributes,
            blocks=tuple(blocks),
        )

    def nested_block(self, label: str) -> Block:
        cursor = self.cursor
        cursor.accept(",")
        if cursor.peek_word():
            cursor.word(f"a body of {label!r}")
        if not (cursor.at("{") or cursor.at("(")):
            cursor.fail(f"operation {label!r} is not closed", expected="';'")
        return self.body(self.parameters() if cursor.accept("(") else ())

    def arguments(self, what: str) -> tuple[Argument, ...]:
        if self.cursor.accept("("):
            return tuple(self.argument(what) for _ in self.cursor.items(")", what))
        return (self.argument(what),)

    def argument(self, what: str) -> Argument:
        cursor = self.cursor
        start = cursor.skip()
        word = cursor.word(f"a value of {what}")
        if is_type(word) and (cursor.at("(") or cursor.at("<")):
            cursor.position = start
            return parse_constant(cursor, self.read_blob, what)
        return word

    def attributes(self, owner: str) -> Mapping[str, Constant]:
        found: dict[str, Constant] = {}
        cursor = self.cursor
        if cursor.accept("["):
            for _ in cursor.items("]", f"the attributes of {owner!r}"):
                at = cursor.skip()
                key = cursor.word(f"an attribute of {owner!r}")
                if key in found:
                    cursor.fail(f"attribute {key!r} of {owner!r} is given twice", at=at)
                cursor.expect("=", f"attribute {key!r} of {owner!r}")
                found[key] = parse_constant(cursor, self.read_blob, f"{owner}.{key}")
        return MappingProxyType(found)
