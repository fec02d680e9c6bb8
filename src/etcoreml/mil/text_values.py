"""Types and constants as MIL text writes them.

Enters: a cursor before a type or a constant. Leaves: :data:`ValueType`, :class:`Constant`.

Two spellings exist and mix: ``program(1.0)`` writes scalars and strings as tensors of rank 0,
``tensor<fp32, []>(0x1p-1)``; ``program(1.3)`` writes ``fp32(0x1p-1)`` and ``string("valid")``.
Only the outermost constant names its type; what a list, tuple or dictionary holds does not.

Source: the text that Apple's compiler (coremlc 3402 to 3600) wrote for published models.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from etcoreml.mil.cursor import Cursor
from etcoreml.mil.decode import ReadBlob
from etcoreml.mil.program import (
    Array,
    Constant,
    DictionaryType,
    ListType,
    Shape,
    StateType,
    StringType,
    TensorType,
    TupleType,
    ValueType,
    pack_bits,
)
from etcoreml.types import BY_NAME, DType

_TENSOR = re.compile(r"\s*tensor<\s*(\w+)\s*,\s*\[([?\d,\s]*)\]\s*>", re.ASCII)
_LENGTH = re.compile(r"\s*(\?|\d{1,18})", re.ASCII)
_SCALAR = re.compile(r"\s*([^\s,()\[\]{}\"]+)")
_BRACKET = re.compile(r"[\[\]]")
_NO_BRACKET = re.compile(r"[^\[\],]+")
_COMPOSITE = ("list", "tuple", "dict", "state", "tensor")


def is_type(word: str) -> bool:
    """Say whether a word starts a type."""
    return word in _COMPOSITE or word in BY_NAME or word == "string"


def parse_type(cursor: Cursor) -> ValueType:
    """Read a type.

    Raises:
        ModelError: The type is malformed or unknown.
    """
    match = cursor.match(_TENSOR)
    if match is not None:
        return _tensor_type(match[1], match[2]) or cursor.fail(
            "a tensor has an unknown element type or a malformed shape", at=match.start(1)
        )
    start = cursor.skip()
    word = cursor.word("a type")
    if word == "string":
        return StringType()
    if word in BY_NAME:
        return TensorType(BY_NAME[word], ())
    if word not in _COMPOSITE or word == "tensor":
        cursor.position = start
        known = (*BY_NAME, "string", *_COMPOSITE)
        cursor.fail("a type is malformed or unknown", expected=f"one of {', '.join(known)}")
    with cursor.nested():
        cursor.expect("<", f"the type {word}")
        if word == "tuple":
            return TupleType(tuple(parse_type(cursor) for _ in cursor.items(">", "a tuple type")))
        first = parse_type(cursor)
        if word == "state":
            if not isinstance(first, TensorType):
                cursor.fail("a state must wrap a tensor", at=start)
            cursor.expect(">", "the type state")
            return StateType(first)
        cursor.expect(",", f"the type {word}")
        second = parse_type(cursor) if word == "dict" else _length(cursor)
        cursor.expect(">", f"the type {word}")
    if isinstance(second, int) or second is None:
        return ListType(first, second)
    return DictionaryType(first, second)


@cache
def _tensor_type(name: str, dimensions: str) -> TensorType | StringType | None:
    sizes = [size.strip() for size in dimensions.split(",")] if dimensions.strip() else []
    if not all(size == "?" or (size.isdigit() and len(size) <= 18) for size in sizes):
        return None
    shape = tuple(None if size == "?" else int(size) for size in sizes)
    if name == "string":
        return StringType(shape)
    return TensorType(BY_NAME[name], shape) if name in BY_NAME else None


def _length(cursor: Cursor) -> int | None:
    match = cursor.match(_LENGTH)
    if match is None:
        cursor.fail("a list type has no length", expected="a number or '?'")
    return None if match[1] == "?" else int(match[1])


def parse_constant(cursor: Cursor, read_blob: ReadBlob, what: str) -> Constant:
    """Read a constant, ``type(value)``.

    Args:
        cursor: Where to read.
        read_blob: Reads an entry of a weight file.
        what: Name of the value, for messages about weight files.

    Raises:
        ModelError: The constant is malformed, or its value is not of its type.
        WeightError: A weight entry is invalid (from ``read_blob``).
    """
    type_ = parse_type(cursor)
    cursor.expect("(", "a constant")
    if isinstance(type_, TensorType) and cursor.peek_word() == "BLOBFILE":
        value = Constant(type_, _from_file(cursor, type_, read_blob, what))
    else:
        value = _value(cursor, type_)
    cursor.expect(")", "a constant")
    return value


def _from_file(cursor: Cursor, type_: TensorType, read_blob: ReadBlob, what: str) -> Array:
    start = cursor.skip()
    cursor.word("a weight reference")
    cursor.expect("(", "a weight reference")
    given: dict[str, object] = {}
    for _ in cursor.items(")", "a weight reference"):
        key = cursor.word("a part of a weight reference")
        cursor.expect("=", "a weight reference")
        given[key] = parse_constant(cursor, read_blob, what).data
    path, offset = given.get("path"), given.get("offset")
    if not isinstance(path, str) or not isinstance(offset, np.ndarray) or offset.shape != ():
        cursor.fail("a weight reference lacks a path or an offset", at=start)
    shape = _fixed(cursor, type_.shape, start)
    return read_blob(path, int(offset), type_.dtype, shape, what)


def _fixed(cursor: Cursor, shape: Shape | None, at: int) -> tuple[int, ...]:
    if shape is None or None in shape:
        cursor.fail("a constant must have a fixed shape", at=at)
    return tuple(size for size in shape if size is not None)


def _value(cursor: Cursor, type_: ValueType) -> Constant:
    """Read a value whose type is known from outside."""
    if isinstance(type_, TensorType):
        return _tensor(cursor, type_)
    if isinstance(type_, StringType):
        return _strings(cursor, type_)
    start = cursor.skip()
    with cursor.nested():
        if isinstance(type_, ListType):
            cursor.expect("[", "a list")
            items = tuple(_value(cursor, type_.element) for _ in cursor.items("]", "a list"))
            if type_.length not in (None, len(items)):
                cursor.fail(f"a list has {len(items)} elements", at=start, expected=type_.length)
            return Constant(type_, items)
        if isinstance(type_, TupleType):
            cursor.expect("(", "a tuple")
            left = iter(type_.elements)
            parts = []
            for _ in cursor.items(")", "a tuple"):
                element = next(left, None)
                if element is None:
                    cursor.fail("a tuple has more elements than its type")
                parts.append(_value(cursor, element))
            if len(parts) != len(type_.elements):
                cursor.fail("a tuple has fewer elements than its type", at=start)
            return Constant(type_, tuple(parts))
        if isinstance(type_, DictionaryType):
            return Constant(type_, _pairs(cursor, type_))
    return cursor.fail(f"a constant cannot be of type {type_}", at=start)


def _pairs(cursor: Cursor, type_: DictionaryType) -> tuple[tuple[Constant, Constant], ...]:
    cursor.expect("{", "a dictionary")
    pairs = []
    for _ in cursor.items("}", "a dictionary"):
        cursor.expect("{", "an entry of a dictionary")
        key = _value(cursor, type_.key)
        cursor.expect(",", "an entry of a dictionary")
        pairs.append((key, _value(cursor, type_.value)))
        cursor.expect("}", "an entry of a dictionary")
    return tuple(pairs)


def _strings(cursor: Cursor, type_: StringType) -> Constant:
    if type_.shape == ():
        return Constant(type_, cursor.string())
    start = cursor.skip()
    if type_.shape is None or len(type_.shape) != 1:
        cursor.fail("a tensor of strings must have rank 0 or 1")
    cursor.expect("[", "a tensor of strings")
    found = tuple(cursor.string() for _ in cursor.items("]", "a tensor of strings"))
    if type_.shape[0] not in (None, len(found)):
        cursor.fail(f"a tensor has {len(found)} strings", at=start, expected=type_.shape[0])
    return Constant(StringType((len(found),)), found)


def _tensor(cursor: Cursor, type_: TensorType) -> Constant:
    dtype, start = type_.dtype, cursor.skip()
    if type_.shape == ():
        match = cursor.match(_SCALAR)
        if match is None:
            cursor.fail(f"a number of type {dtype} is missing")
        return Constant(type_, _array(cursor, [match[1]], dtype, (), start))
    body = _bracketed(cursor)
    words = body.replace("[", "").replace("]", "").split(",")
    if not "".join(words).strip():
        words = []
    # In what the compiler writes, only a vector's length may be left open.
    shape = (len(words),) if type_.shape == (None,) else _fixed(cursor, type_.shape, start)
    if math.prod(shape) != len(words) or not _is_nested(body, shape):
        cursor.fail(
            f"a tensor of {len(words)} numbers is not of its shape", at=start, expected=list(shape)
        )
    return Constant(TensorType(dtype, shape), _array(cursor, words, dtype, shape, start))


def _bracketed(cursor: Cursor) -> str:
    """Step over ``[...]`` with whatever brackets are inside."""
    if not cursor.at("["):
        cursor.fail("the numbers of a tensor are missing", expected="'['")
    start, depth = cursor.position, 0
    for bracket in _BRACKET.finditer(cursor.text, start):
        depth += 1 if bracket[0] == "[" else -1
        if depth == 0:
            cursor.position = bracket.end()
            return cursor.text[start : cursor.position]
    return cursor.fail("the brackets of a tensor are not closed", at=start)


def _is_nested(body: str, shape: tuple[int, ...]) -> bool:
    """Say whether brackets and commas follow the shape."""
    opened, rows = 1, 1
    for size in shape[:-1]:
        rows *= size
        opened += rows
    if body.count("[") != opened:  # also keeps what follows linear in the text
        return False
    skeleton = ""
    for size in reversed(shape):
        skeleton = "[" + ",".join([skeleton] * size) + "]"
    return _NO_BRACKET.sub("", body) == skeleton


def _array(
    cursor: Cursor, words: Sequence[str], dtype: DType, shape: tuple[int, ...], at: int
) -> Array:
    try:
        values = _READERS.get(dtype.name, _float if dtype.is_float else _integer)(words, dtype)
    except (ValueError, OverflowError) as error:
        cursor.fail(f"a constant is no number of type {dtype} ({error})", at=at)
    array = pack_bits(values, dtype) if dtype.is_packed else values.reshape(shape)
    array.flags.writeable = False
    return array


def _float(words: Sequence[str], dtype: DType) -> Array:
    # Without 'x' the digits are decimal, which fromhex would read as hexadecimal.
    numbers = [float.fromhex(word) if "x" in word else float(word) for word in words]
    exact = np.array(numbers, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        values = exact.astype(dtype.storage)
    if np.any(np.isinf(values) & np.isfinite(exact)):
        msg = "out of range"
        raise OverflowError(msg)
    return values


def _integer(words: Sequence[str], dtype: DType) -> Array:
    numbers = [int(word) for word in words]
    signed = not dtype.name.startswith("u")
    low, high = (-(1 << (dtype.bits - 1)) if signed else 0), (1 << (dtype.bits - signed)) - 1
    if numbers and not (low <= min(numbers) and max(numbers) <= high):
        msg = "out of range"
        raise OverflowError(msg)
    return np.array(numbers, dtype.storage)


def _bool(words: Sequence[str], dtype: DType) -> Array:
    flags = {"true": True, "false": False}
    if not all(word.strip() in flags for word in words):
        msg = "neither true nor false"
        raise ValueError(msg)
    return np.array([flags[word.strip()] for word in words], dtype.storage)


_READERS: dict[str, Callable[[Sequence[str], DType], Array]] = {"bool": _bool}
