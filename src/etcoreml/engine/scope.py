"""The values visible while a block is translated.

A value is a constant of the program, a compressed weight, a state, or an ``Output``. The first two
become part of the graph only when a translator asks for a run-time value, in the graph
that asks; an ``Output`` of an enclosing block is captured: the body gets a parameter for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import openvino as ov
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.dtypes import compute_array
from etcoreml.engine.kernels import Packed
from etcoreml.errors import UnsupportedOpError
from etcoreml.mil.program import Array, Block, Constant, TensorType


@dataclass(frozen=True, eq=False)
class Weight:
    """The result of a ``constexpr_*`` op: expanded on demand, or kept compressed in the graph.

    Attributes:
        expand: Returns the dense array, fp16 or fp32 (or the mask of a sparse pair).
        build: Returns the graph that computes it from the compressed data.
        pack: Returns the compressed data as the kernels read it, None if they cannot.
    """

    expand: Callable[[], Array]
    build: Callable[[], Output]
    pack: Callable[[], Packed | None] = lambda: None


@dataclass(frozen=True, eq=False)
class State:
    """A state variable; a scope knows its value at this point of the program."""

    name: str
    variable: Any


@dataclass(frozen=True, eq=False)
class TensorList:
    """A list of tensors of one shape, as one tensor with a dimension in front.

    Attributes:
        data: ``(length, *element)``.
        is_dynamic: Whether a write past the end makes the list longer.
    """

    data: Output
    is_dynamic: bool

    def with_data(self, data: Output) -> TensorList:
        """Return a list of other contents."""
        return TensorList(data, self.is_dynamic)


Labels = Union[tuple[str, ...], tuple[int, ...]]  # noqa: UP007 - evaluated by Python 3.10


@dataclass(frozen=True, eq=False)
class Classification:
    """What ``classify`` returns: a label, or the probabilities of all labels.

    Attributes:
        data: ``()`` i64 number of the label, or ``(K,)`` f32 probabilities.
        labels: The K labels, all of them strings or all of them integers.
    """

    data: Output
    labels: Labels


Value = Union[Constant, Weight, State, TensorList, Classification, Output]  # noqa: UP007 - Output is untyped here


@dataclass
class Translation:
    """What all blocks of one function share.

    Attributes:
        ios: The opset as a release of iOS.
        numerics: The numerics mode.
        translate_operations: Translates the operations of a block into a scope.
        uses_kernels: Whether ``kernels.py`` may be used.
    """

    ios: int
    numerics: str
    translate_operations: Callable[[Block, Scope], None]
    uses_kernels: bool = False


class Scope:
    """The values of one block.

    Args:
        translation: What the blocks of the function share.
        parent: Scope of the enclosing block, if any.
    """

    def __init__(self, translation: Translation, parent: Scope | None = None) -> None:
        self.translation = translation
        self.parent = parent
        self.values: dict[str, Value] = {}
        self.captures: dict[str, tuple[Output, ov.Node]] = {}
        self.state_values: dict[str, Output] = {}
        self.written_states: dict[str, State] = {}
        self._built: dict[int, tuple[object, Output]] = {}
        self._unrounded: dict[int, tuple[Output, Output]] = {}

    def resolve(self, name: str) -> Value:
        """Return the value of this name, captured if it belongs to an enclosing block."""
        if name in self.values:
            return self.values[name]
        if self.parent is None:
            msg = f"no value {name!r}: the program was not checked"
            raise KeyError(msg)
        value = self.parent.resolve(name)
        if isinstance(value, (Constant, Weight, State, Classification)):
            return value
        data = value.data if isinstance(value, TensorList) else value
        shape = graph.growing(data) if isinstance(value, TensorList) else data.get_partial_shape()
        inside = self._capture(name, data, shape)
        self.values[name] = value.with_data(inside) if isinstance(value, TensorList) else inside
        return self.values[name]

    def _capture(self, name: str, data: Output, shape: ov.PartialShape) -> Output:
        parameter = op.parameter(shape, data.get_element_type())
        parameter.set_friendly_name(f"{name}/captured")
        self.captures[name] = (data, parameter)
        return graph.output(parameter)

    def read_state(self, state: State) -> Output:
        """Return the value of a state here, captured if an enclosing block gave it."""
        if state.name not in self.state_values:
            if self.parent is None:
                msg = f"no value of state {state.name!r}"
                raise KeyError(msg)
            data = self.parent.read_state(state)
            inside = self._capture(f"{state.name}/state", data, data.get_partial_shape())
            self.state_values[state.name] = inside
        return self.state_values[state.name]

    def write_state(self, state: State, data: Output) -> None:
        """Give a state a value; whoever builds the block hands it on to the enclosing one."""
        self.state_values[state.name] = data
        self.written_states[state.name] = state

    def inline(
        self, block: Block, operands: Sequence[Value], what: str
    ) -> list[Output | TensorList]:
        """Translate a block into this scope, its inputs being ``operands``; return its outputs."""
        for declared, operand in zip(block.inputs, operands, strict=True):
            self.values[declared.name] = operand
        self.translation.translate_operations(block, self)
        values = [self.resolve(name) for name in block.outputs]
        return [v if isinstance(v, TensorList) else self.output(v, what) for v in values]

    def keep_unrounded(self, rounded: Output, unrounded: Output) -> None:
        """Remember what a value was before it was rounded."""
        self._unrounded[id(rounded)] = (rounded, unrounded)

    def unrounded(self, value: Value) -> Output | None:
        """Return what a value was before it was rounded in this block, None if it was not."""
        return self._unrounded.get(id(value), (None, None))[1]

    def output(self, value: Value, what: str) -> Output:
        """Return a value as a run-time value of this block's graph.

        Raises:
            UnsupportedOpError: The value is no tensor.
        """
        if isinstance(value, (State, TensorList, Classification)):
            raise UnsupportedOpError(f"{what} must be a tensor", found=type(value).__name__)
        if not isinstance(value, (Constant, Weight)):
            return value
        key = id(value)
        if key not in self._built:
            self._built[key] = (value, self._build(value, what))
        return self._built[key][1]

    @staticmethod
    def _build(value: Constant | Weight, what: str) -> Output:
        if isinstance(value, Weight):
            return value.build()
        if not isinstance(value.type, TensorType):
            raise UnsupportedOpError(f"{what} must be a tensor", found=value.type)
        return graph.constant(compute_array(value.unpack(), value.type.dtype))
