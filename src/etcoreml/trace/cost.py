"""What a MIL operation computes and moves, from its types.

FLOPs: a multiplication and an addition of a matrix product, convolution or recurrent layer are two;
operations that only move values count none; every other counts one for each element of its largest
operand or result, which is a lower bound for norms, softmax and pooling. Bytes: each operand and
result once, as it is declared; what a ``constexpr_*`` expands, as it is stored (int4 weights with
their scales). A cost that depends on a size that varies is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from etcoreml.mil.program import Constant, Function, Operation, TensorType
from etcoreml.trace.attribution import symbol

_MOVES = frozenset(
    {
        *(
            "cast",
            "concat",
            "const",
            "expand_dims",
            "fill",
            "fill_like",
            "gather",
            "gather_along_axis",
        ),
        *(
            "gather_nd",
            "identity",
            "pad",
            "pixel_shuffle",
            "pixel_unshuffle",
            "read_state",
            "reshape",
        ),
        *(
            "reshape_like",
            "reverse",
            "scatter",
            "scatter_along_axis",
            "scatter_nd",
            "shape",
            "slice_by_index",
        ),
        *("slice_by_size", "slice_update", "sliding_windows", "space_to_depth", "split", "squeeze"),
        *(
            "stack",
            "tile",
            "transpose",
            "write_state",
            "depth_to_space",
            "batch_to_space",
            "space_to_batch",
        ),
    }
)
"""Operations that compute nothing."""

_PICKS = frozenset({"gather", "gather_along_axis", "gather_nd", "slice_by_index", "slice_by_size"})
"""Operations that read as much of their first operand as they write."""

_EXPANDS = "constexpr_"
"""What the names of operations begin with that stand for weights, stored smaller."""


@dataclass(frozen=True)
class Cost:
    """Of one operation.

    Attributes:
        flops: Floating-point operations; None if unknown.
        nbytes: Bytes read and written; None if unknown.
    """

    flops: int | None
    nbytes: int | None


def costs(function: Function) -> dict[str, Cost]:
    """Return the cost of each top-level operation, by its debug symbol."""
    types: dict[str, TensorType] = {}
    constants: dict[str, Constant] = {}
    stored = _stored(function)
    for value in function.inputs:
        if isinstance(value.type, TensorType):
            types[value.name] = value.type
    for operation in function.block.operations:
        for value in operation.outputs:
            if isinstance(value.type, TensorType):
                types[value.name] = value.type
            if operation.type == "const":
                constants[value.name] = operation.attributes["val"]
    return {
        symbol(operation): _Operands(operation, types, constants, stored).cost()
        for operation in function.block.operations
        if operation.outputs and operation.type != "const"
    }


def written_elements(function: Function) -> int:
    """Return the elements of all results of a function's operations, sizes that vary as zero."""
    types = (
        value.type
        for operation in function.block.operations
        if operation.type != "const"
        for value in operation.outputs
    )
    shapes = (type_.shape or () for type_ in types if isinstance(type_, TensorType))
    return sum(math.prod(size or 0 for size in shape) for shape in shapes)


def _stored(function: Function) -> dict[str, int]:
    """Return the bytes of what each ``constexpr_*`` expands, by the name of its result.

    One may expand the result of another. Up to iOS17, they have attributes instead of operands.
    """
    sizes_of: dict[str, int] = {}
    for operation in function.block.operations:
        if operation.type == "const":
            value = operation.attributes["val"]
            sizes_of[operation.outputs[0].name] = _constant_nbytes(value)
        elif operation.type.startswith(_EXPANDS):
            given = [each for several in operation.inputs.values() for each in several]
            sizes_of[operation.outputs[0].name] = sum(
                _constant_nbytes(each) if isinstance(each, Constant) else sizes_of.get(each, 0)
                for each in (*given, *operation.attributes.values())
            )
    return {
        each.outputs[0].name: sizes_of[each.outputs[0].name]
        for each in function.block.operations
        if each.type.startswith(_EXPANDS)
    }


def _constant_nbytes(constant: Constant) -> int:
    type_ = constant.type
    return type_.dtype.nbytes(elements(type_)) if isinstance(type_, TensorType) else 0


class _Operands:
    """The types of what an operation reads and writes."""

    def __init__(
        self,
        operation: Operation,
        types: Mapping[str, TensorType],
        constants: Mapping[str, Constant],
        stored: Mapping[str, int],
    ) -> None:
        self._operation = operation
        self._stored = stored
        self._types = types
        self._constants = constants
        self._results = [types[out.name] for out in operation.outputs if out.name in types]

    def cost(self) -> Cost:
        """Return the cost, None where a size varies."""
        try:
            flops: int | None = _FLOPS.get(self._operation.type, _elementwise)(self)
        except _UnknownError:
            flops = None
        try:
            nbytes: int | None = self._nbytes()
        except _UnknownError:
            nbytes = None
        return Cost(flops, nbytes)

    def operand(self, name: str) -> TensorType:
        """Return the type of an operand."""
        (argument,) = self._operation.inputs.get(name, (None,))
        found = argument.type if isinstance(argument, Constant) else self._types.get(argument or "")
        if not isinstance(found, TensorType):
            raise _UnknownError
        return found

    def flag(self, name: str) -> bool:
        """Return the value of a constant operand."""
        for argument in self._operation.inputs.get(name, ()):
            found = argument if isinstance(argument, Constant) else self._constants.get(argument)
            if found is not None:
                return bool(found.unpack().item())
        return False

    @property
    def type(self) -> str:
        """The op."""
        return self._operation.type

    @property
    def result(self) -> TensorType:
        """The type of the first result."""
        if not self._results:
            raise _UnknownError
        return self._results[0]

    def all_operands(self) -> dict[int | str, TensorType]:
        """Return the types of all operands that are tensors, each once, by name if they have it."""
        found: dict[int | str, TensorType] = {}
        for arguments in self._operation.inputs.values():
            for argument in arguments:
                if isinstance(argument, Constant):
                    if isinstance(argument.type, TensorType):
                        found[id(argument)] = argument.type
                elif argument in self._types:
                    found[argument] = self._types[argument]
        return found

    def largest(self) -> int:
        """Return the elements of the largest operand or result."""
        return max(map(elements, [*self.all_operands().values(), *self._results]), default=0)

    def _nbytes(self) -> int:
        if self.type.startswith(_EXPANDS):  # whoever reads the result reads what is stored
            return self._stored[self._operation.outputs[0].name]
        written = sum(type_.dtype.nbytes(elements(type_)) for type_ in self._results)
        if self.type in _PICKS:
            return written + self._picked(written)
        return written + sum(self._read(*each) for each in self.all_operands().items())

    def _picked(self, written: int) -> int:
        """Return the bytes read of the first operand: its part of what is stored."""
        (source,) = self._operation.inputs.get("x", (None,))
        if not isinstance(source, str) or source not in self._stored:
            return written
        return self._stored[source] * elements(self.result) // elements(self._types[source])

    def _read(self, value: int | str, type_: TensorType) -> int:
        if isinstance(value, str) and value in self._stored:
            return self._stored[value]
        return type_.dtype.nbytes(elements(type_))


class _UnknownError(Exception):
    """A size varies. Stays inside this file."""


def elements(type_: TensorType) -> int:
    """Return the number of elements of a tensor."""
    return math.prod(sizes(type_))


def sizes(type_: TensorType) -> tuple[int, ...]:
    """Return the sizes of a tensor."""
    if type_.shape is None or None in type_.shape:
        raise _UnknownError
    return tuple(int(size or 0) for size in type_.shape)


def _elementwise(op: _Operands) -> int:
    return 0 if op.type in _MOVES or op.type.startswith(_EXPANDS) else op.largest()


def _conv(op: _Operands) -> int:
    return 2 * elements(op.result) * math.prod(sizes(op.operand("weight"))[1:])


def _conv_transpose(op: _Operands) -> int:
    return 2 * elements(op.operand("x")) * math.prod(sizes(op.operand("weight"))[1:])


def _linear(op: _Operands) -> int:
    return 2 * elements(op.result) * sizes(op.operand("weight"))[-1]


def _matmul(op: _Operands) -> int:
    shape = sizes(op.operand("x"))
    inner = shape[-2] if op.flag("transpose_x") and len(shape) > 1 else shape[-1]
    return 2 * elements(op.result) * inner


def _attention(op: _Operands) -> int:
    keys = sizes(op.operand("key"))[-2]
    rows = elements(op.operand("query"))
    values = elements(op.result)
    return 2 * keys * (rows + values)


def _recurrent(op: _Operands) -> int:
    steps, batch = sizes(op.operand("x"))[:2]
    weights = [name for name in op._operation.inputs if name.startswith("weight")]
    return 2 * steps * batch * sum(elements(op.operand(name)) for name in weights)


_FLOPS: Mapping[str, Callable[[_Operands], int]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
}
