"""The MIL program as the engine sees it: frozen, without protobufs, weights viewed in place.

Enters: nothing; the loaders of this package build it. Leaves: :class:`MilProgram`, read by
``engine/`` (to execute), ``cli/`` (to inspect) and ``trace/`` (to attribute).

Source: coremltools 9.0 ``mlmodel/format/MIL.proto`` and ``Model.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Union

import numpy as np
from numpy.typing import NDArray

from etcoreml.errors import ModelError
from etcoreml.types import DType

Shape = tuple[int | None, ...]
"""Sizes of the dimensions; None where the size is known only at run time."""

Array = NDArray[np.generic]


@dataclass(frozen=True)
class TensorType:
    """A tensor of numbers or booleans; rank 0 is a scalar.

    Attributes:
        dtype: Element type.
        shape: Sizes, None for a dimension that varies; None as a whole if even the rank varies.
    """

    dtype: DType
    shape: Shape | None

    def __str__(self) -> str:
        dims = (
            "*"
            if self.shape is None
            else ", ".join("?" if d is None else str(d) for d in self.shape)
        )
        return f"{self.dtype}[{dims}]"


@dataclass(frozen=True)
class StringType:
    """A string (``shape == ()``) or a tensor of strings."""

    shape: Shape | None = ()

    def __str__(self) -> str:
        return "string" if self.shape == () else f"string{self.shape}"


@dataclass(frozen=True)
class ListType:
    """A list of ``length`` elements (None: grows at run time)."""

    element: ValueType
    length: int | None

    def __str__(self) -> str:
        return f"list<{self.element}, {'?' if self.length is None else self.length}>"


@dataclass(frozen=True)
class TupleType:
    """A tuple of values of the given types."""

    elements: tuple[ValueType, ...]

    def __str__(self) -> str:
        return f"tuple<{', '.join(map(str, self.elements))}>"


@dataclass(frozen=True)
class DictionaryType:
    """A dictionary, the type of a classifier's probabilities."""

    key: ValueType
    value: ValueType

    def __str__(self) -> str:
        return f"dict<{self.key}, {self.value}>"


@dataclass(frozen=True)
class StateType:
    """A tensor that outlives one prediction, e.g. a KV cache."""

    tensor: TensorType

    def __str__(self) -> str:
        return f"state<{self.tensor}>"


ValueType = Union[  # noqa: UP007 - a forward reference inside `|` would be evaluated
    TensorType, StringType, ListType, TupleType, DictionaryType, StateType
]


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known when the program is loaded.

    Attributes:
        type: Its MIL type.
        data: For a tensor, a NumPy array: of the type's shape and storage dtype, or, for packed
            dtypes (int4, uint1 ... uint6), the one-dimensional uint8 bytes as they are in the
            file. For a string, ``str``; for strings, a tuple of ``str``. For a list or tuple, a
            tuple of constants; for a dictionary, a tuple of ``(key, value)`` constants.
            Arrays are read-only views of the file's bytes wherever the format allows it.
    """

    type: ValueType
    data: Array | str | tuple[object, ...]

    def unpack(self) -> Array:
        """Return a tensor as an array of its shape, one element per item.

        Packed dtypes are unpacked, least significant bits first, into int8 or uint8 (a copy);
        every other dtype is returned as it is (no copy).

        Raises:
            TypeError: The constant is not a tensor of numbers.
        """
        if not isinstance(self.type, TensorType) or not isinstance(self.data, np.ndarray):
            msg = f"a constant of type {self.type} has no array"
            raise TypeError(msg)
        if not self.type.dtype.is_packed:
            return self.data
        shape = tuple(int(d or 0) for d in self.type.shape or ())
        return unpack_bits(self.data, self.type.dtype, shape)

    def python(self) -> object:
        """Return the value in Python's own types: str, tuple, dict, or an array."""
        if isinstance(self.data, tuple):
            items = tuple(_python(item) for item in self.data)
            return dict(items) if isinstance(self.type, DictionaryType) else items  # type: ignore[arg-type]
        return self.data if isinstance(self.data, str) else self.unpack()


def _python(item: object) -> object:
    if isinstance(item, tuple):
        return tuple(_python(part) for part in item)
    return item.python() if isinstance(item, Constant) else item


def unpack_bits(packed: Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Unpack sub-byte elements.

    Args:
        packed: ``(nbytes,)`` uint8. Elements follow each other without gaps, least significant
            bit first; an element of 3 or 6 bits may straddle two bytes.
        dtype: A packed dtype.
        shape: Shape of the result.

    Returns:
        ``shape`` int8 (int4, sign extended) or uint8.
    """
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.bits == 4:
        bytes_ = packed.view(np.uint8)
        values = np.empty(2 * bytes_.size, np.uint8)
        values[0::2] = bytes_ & 0xF
        values[1::2] = bytes_ >> 4
        values = values[:count]
    else:
        bits = np.unpackbits(packed.view(np.uint8), bitorder="little", count=count * dtype.bits)
        weights = (1 << np.arange(dtype.bits)).astype(np.uint8)
        values = bits.reshape(count, dtype.bits) @ weights
    if dtype.name == "int4":
        return ((values ^ 8).astype(np.int8) - 8).reshape(shape)
    return values.reshape(shape)


def pack_bits(values: Array, dtype: DType) -> Array:
    """Pack elements of fewer than 8 bits: the inverse of :func:`unpack_bits`.

    Args:
        values: ``(*)`` integers in the range of ``dtype``.
        dtype: A packed dtype.

    Returns:
        ``(nbytes,)`` uint8.
    """
    flat = values.reshape(-1, 1).view(np.uint8)
    bits = (flat >> np.arange(dtype.bits, dtype=np.uint8)) & 1
    return np.packbits(bits.ravel(), bitorder="little")


Argument = Union[str, Constant]  # noqa: UP007 - as above
"""An operand: the name of a value, or a constant written in place."""


@dataclass(frozen=True)
class Output:
    """A named, typed value: what an operation returns, or what a function or block receives."""

    name: str
    type: ValueType


@dataclass(frozen=True, eq=False)
class Operation:
    """One MIL operation.

    Attributes:
        type: Op type, e.g. ``conv``.
        name: Its ``name`` attribute, or the name of its first output.
        inputs: Input name to operands; more than one operand for a variadic input.
        outputs: What it defines, in order. ``write_state`` defines nothing.
        attributes: Everything that is not an operand: ``val`` of a const, the operands of
            ``constexpr_*`` up to iOS17, ``name``.
        blocks: Bodies of control flow.
    """

    type: str
    name: str
    inputs: Mapping[str, tuple[Argument, ...]]
    outputs: tuple[Output, ...]
    attributes: Mapping[str, Constant] = field(default_factory=lambda: MappingProxyType({}))
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, eq=False)
class Block:
    """A sequence of operations in execution order."""

    inputs: tuple[Output, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]

    def walk(self) -> Iterator[Operation]:
        """Yield every operation, those of nested blocks after the one that owns them."""
        for operation in self.operations:
            yield operation
            for block in operation.blocks:
                yield from block.walk()


@dataclass(frozen=True, eq=False)
class Function:
    """A callable of the program.

    Attributes:
        name: Key in the program.
        opset: ``CoreML5`` (iOS15) to ``CoreML8`` (iOS18): decides what an op type means.
        inputs: Tensors, in order.
        states: Inputs of state type, in order.
        block: The body.
    """

    name: str
    opset: str
    inputs: tuple[Output, ...]
    states: tuple[Output, ...]
    block: Block

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The results with their types, in order."""
        types = {value.name: value for value in (*self.inputs, *self.states)}
        for operation in self.block.operations:
            types.update((value.name, value) for value in operation.outputs)
        return tuple(types[name] for name in self.block.outputs)

    @property
    def class_labels(self) -> tuple[str | int, ...]:
        """The labels of a classifier, as its ``classify`` operation lists them; else empty."""
        constants = {
            output.name: operation.attributes["val"]
            for operation in self.block.walk()
            if operation.type == "const"
            for output in operation.outputs
        }
        for operation in self.block.walk():
            if operation.type == "classify":
                for argument in operation.inputs.get("classes", ()):
                    given = constants.get(argument) if isinstance(argument, str) else argument
                    return _labels(given)
        return ()


def _labels(classes: Constant | None) -> tuple[str | int, ...]:
    values = () if classes is None else classes.python()
    if isinstance(values, np.ndarray):
        return tuple(int(item) for item in values.ravel())
    if not isinstance(values, tuple):
        return ()
    return tuple(item if isinstance(item, str) else int(np.ravel(item)[0]) for item in values)


Range = tuple[int, Union[int, None]]  # noqa: UP007 - evaluated
"""Smallest and largest size allowed; None: no limit."""


@dataclass(frozen=True)
class ImageFormat:
    """How an image enters or leaves.

    Attributes:
        height, width: Default size in pixels.
        color_space: ``RGB``, ``BGR``, ``GRAYSCALE`` (8 bits) or ``GRAYSCALE_FLOAT16``.
        sizes: The ``(height, width)`` allowed, if they are enumerated.
        height_range, width_range: In pixels, if they vary; None if fixed or enumerated.
    """

    height: int
    width: int
    color_space: str
    sizes: tuple[tuple[int, int], ...] = ()
    height_range: Range | None = None
    width_range: Range | None = None


@dataclass(frozen=True)
class Feature:
    """An input, output or state as the model's interface describes it.

    Attributes:
        name: Name of the feature.
        kind: ``multiArray``, ``image``, ``dictionary``, ``int64``, ``double``, ``string``,
            ``sequence`` or ``state``.
        dtype: Element type of a multi-array or state; None otherwise.
        shape: Default shape of a multi-array or state; None otherwise.
        ranges: Per dimension, smallest and largest size; empty if fixed. Of a sequence, the
            range of its length.
        enumerated: The shapes allowed, if they are enumerated.
        image: Format of an image; None otherwise.
        optional: Whether it may be left out.
        description: The author's words.
        default: What each element is when an optional multi-array is left out; None: not said.
        item: ``string`` or ``int64``: type of a dictionary's keys or of a sequence's elements.
    """

    name: str
    kind: str
    dtype: DType | None = None
    shape: tuple[int, ...] | None = None
    ranges: tuple[Range, ...] = ()
    enumerated: tuple[tuple[int, ...], ...] = ()
    image: ImageFormat | None = None
    optional: bool = False
    description: str = ""
    default: int | float | None = None
    item: str = ""


@dataclass(frozen=True)
class Signature:
    """The described interface of one function, pipeline or stage.

    Attributes:
        inputs, outputs, states: In the author's order.
        predicted_feature: Name of the label output of a classifier, or "".
        predicted_probabilities: Name of the probabilities output of a classifier, or "".
    """

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...] = ()
    predicted_feature: str = ""
    predicted_probabilities: str = ""


@dataclass(frozen=True, eq=False)
class MilProgram:
    """An ML Program.

    Attributes:
        functions: By name.
        default_function: The one to call when none is named.
        spec_version: Core ML specification version, 6 (iOS15) to 9 (iOS18) and later.
        signatures: Described interface per function.
        author, license, version, description: The model's metadata.
        user_defined: The author's key-value metadata.
        sources: The files that the program was loaded from, by name: the specification and the
            weight files. Two programs of equal sources are equal. Empty if it was built in memory.
    """

    functions: Mapping[str, Function]
    default_function: str
    spec_version: int
    signatures: Mapping[str, Signature] = field(default_factory=lambda: MappingProxyType({}))
    user_defined: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    author: str = ""
    license: str = ""
    version: str = ""
    description: str = ""
    sources: Mapping[str, memoryview] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def signature(self) -> Signature:
        """The described interface of the default function."""
        return self.signatures.get(self.default_function, Signature((), ()))

    def function(self, name: str | None = None) -> Function:
        """Return a function; the default one where none is named.

        Raises:
            ModelError: The program has no such function.
        """
        name = self.default_function if name is None else name
        if name in self.functions:
            return self.functions[name]
        raise ModelError(
            "the program has no such function",
            found=repr(name),
            expected=f"one of {list(self.functions)}",
        )
