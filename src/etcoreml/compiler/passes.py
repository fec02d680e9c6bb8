"""Run MIL passes over a program.

coremltools' own manager validates and may print the whole program after each of some 110 passes,
which takes longer than the passes; here the program is validated once per pipeline. One pass is
replaced: the conversion to fp16 looks at every element of every constant several times with
temporaries of twice their size (a third of the time to lower BERT, and its peak of memory).

Source: coremltools 9.0, ``pass_pipeline.py`` and ``quantization.py`` of its MIL passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etcoreml.mil.ct import coremltools

ct = coremltools()
mil = ct.converters.mil.mil
registry = mil.passes.pass_registry.PASS_REGISTRY
quantization = mil.passes.defs.quantization
scope = mil.scope

_FP16_MAX = 65504.0
_FP16_SMALLEST = np.nextafter(np.float16(0), np.float16(1))
_FP32_SMALLEST = np.nextafter(np.float32(0), np.float32(1))
_LARGE_SIZE = 400
"""Elements of a constant that coremltools takes to be no epsilon."""
_LARGE_NBYTES = 1 << 16
_INFINITY = 1e38
"""Constants from here on stand for infinity: they need no fp32, but stay finite if they are."""


def run(program: Any, pipeline: Any) -> None:
    """Run a pipeline's passes in order.

    Args:
        program: ``coremltools.converters.mil.Program``, changed in place.
        pipeline: ``coremltools.PassPipeline`` with the options of its passes.

    Raises:
        ValueError: A pass failed, or the program is not valid before or after them.
    """
    pipeline.validate()
    program.validate()
    for name in pipeline.passes:
        replacement = _REPLACEMENTS.get(name)
        graph_pass = registry[name] if replacement is None else replacement()
        graph_pass.set_options(pipeline.get_options(name))
        graph_pass(program)
    program.validate(check_essential_scope="common::dead_code_elimination" in pipeline.passes)


class CopyOutputs(mil.passes.graph_pass.AbstractGraphPass):  # type: ignore[misc, name-defined] # untyped
    """Let no output be an input or another output: a model needs another name for it.

    Input program::

        main(x) { y = add(x, 1) } -> (y, y, x)

    Output program::

        main(x) { y = add(x, 1); y_1 = identity(y); x_2 = identity(x) } -> (y, y_1, x_2)
    """

    def apply(self, program: Any) -> None:
        """Change a ``coremltools.converters.mil.Program`` in place."""
        for function in program.functions.values():
            # Every op has to say which line of the model it comes from; these come from none.
            scopes = [scope.ScopeInfo(each, [None]) for each in function._essential_scope_sources]
            taken = set(function.inputs.values())
            outputs = []
            with function, mil.Builder.scope(*scopes):
                for index, var in enumerate(function.outputs):
                    copy = f"{var.name}_copy_{index}"
                    outputs.append(mil.Builder.identity(x=var, name=copy) if var in taken else var)
                    taken.add(var)
            function.set_outputs(outputs)


class Fp16Cast(quantization.add_fp16_cast):  # type: ignore[misc, name-defined] # untyped
    """Compute in fp16 whatever has constants that fit.

    coremltools' pass, with a quick check, and without keeping the fp32 form of what was cast.
    Finite constants that stand for infinity become the largest number of fp16, not infinity: a
    softmax of a row that is masked with them throughout would be NaN.
    """

    def __init__(self, op_selector: Callable[[Any], bool] | None = None) -> None:
        super().__init__(op_selector)
        self._saturated: dict[Any, Any] = {}

    @staticmethod
    def fp16_overflow(op: Any) -> bool:
        """Whether a constant input of ``op`` is beyond fp16 without standing for infinity."""
        return any(overflows_fp16(np.asarray(var.op.val.val)) for var in _fp32_constants(op))

    def transform_op(self, op: Any) -> None:
        """Cast the inputs and outputs of ``op``."""
        self._saturate(op)
        # Some passes leave a scalar as a Python number.
        constants = [
            var for var in _fp32_constants(op) if np.asarray(var.op.val.val).nbytes >= _LARGE_NBYTES
        ]
        super().transform_op(op)
        for var in constants:
            if not var.consuming_blocks and all(user.op_type == "cast" for user in var.child_ops):
                # The value of the cast is known; the program's own references keep this one until
                # garbage is collected.
                for holder in (var, var.op.val):
                    holder._sym_val.val = None

    def _check_underflow_to_zero(self, new_var: Any, var: Any) -> None:
        """Let no element of a small constant become zero: an epsilon would divide by it.

        coremltools' method, all elements at once, and without a copy of large constants.

        Args:
            new_var: What ``var`` is cast to; its value is replaced.
            var: The variable in fp32.
        """
        value = new_var.val
        if value is None or np.size(value) >= _LARGE_SIZE:
            return
        lost = (np.abs(var.val) > _FP32_SMALLEST) & (np.abs(value) <= _FP16_SMALLEST)
        if np.any(lost):
            smallest = np.where(np.sign(var.val) > 0, _FP16_SMALLEST, -_FP16_SMALLEST)
            kept = np.where(lost, smallest, value)
            new_var._sym_val.val = kept[()] if np.isscalar(value) else kept

    def _saturate(self, op: Any) -> None:
        """Let ``op`` read constants that fp16 holds in place of finite ones beyond it."""
        for var in _fp32_constants(op):
            value = np.asarray(var.op.val.val)
            if var not in self._saturated and stands_for_infinity(value):
                with var.op.enclosing_block:
                    held = mil.Builder.const(val=_saturated(value), before_op=var.op)
                mil.block.Block._copy_scope_info(var, held)
                self._saturated[var] = held
        if self._saturated.keys().isdisjoint(op.get_flattened_inputs()):
            return
        for name, value in op.inputs.items():
            if isinstance(value, (list, tuple)):
                op.set_inputs(**{name: [self._saturated.get(each, each) for each in value]})
            elif value in self._saturated:
                op.set_inputs(**{name: self._saturated[value]})

    def __str__(self) -> str:
        # The name ends up in the scopes of what the pass inserts.
        return "add_fp16_cast"


class Int16Cast(quantization.add_int16_cast):  # type: ignore[misc, name-defined] # untyped
    """Let the Neural Engine gather by indices of 16 bits, where these are sure to fit.

    coremltools' pass casts whatever ``gather``, ``topk`` and ``squeeze`` take, also the numbers
    that are gathered or sorted, and cuts off what is beyond 16 bits.
    """

    def should_cast_parameter(self, op: Any, param_name: str) -> bool:
        """Whether an input is constant, was of 16 bits, or is an index into a short dimension."""
        value = op.inputs[param_name]
        if value.dtype == mil.types.str:
            fits = _picks_from_few(op)
        elif value.op is not None and value.op.op_type == "const":
            fits = True  # coremltools looks at the numbers
        elif value.op is not None and value.op.op_type == "cast":
            fits = value.op.x.dtype in _SHORT or _picks_by(op, param_name)
        else:
            fits = _picks_by(op, param_name)
        return fits and bool(super().should_cast_parameter(op, param_name))

    def __str__(self) -> str:
        return "add_int16_cast"


_SHORT = (mil.types.uint16, mil.types.int16, mil.types.uint8, mil.types.int8, mil.types.bool)
_INT16_MAX = 32767


def _picks_by(op: Any, param_name: str) -> bool:
    """Whether an input is the indices of a gather, and all of them fit."""
    return param_name == "indices" and _picks_from_few(op)


def _picks_from_few(op: Any) -> bool:
    """Whether the dimensions that an operation picks from are short for certain."""
    sizes = op.x.shape
    if "axis" in op.inputs and op.axis is not None:
        if op.axis.val is None:
            return False
        sizes = (sizes[int(op.axis.val)],)
    return all(isinstance(each, (int, np.integer)) and each <= _INT16_MAX for each in sizes)


def overflows_fp16(array: NDArray[Any]) -> bool:
    """Whether an element of an fp32 array is beyond fp16, those of 1e38 and more not counted.

    Args:
        array: ``(*)`` fp32; NaN counts as representable.
    """
    if array.size == 0:
        return False
    largest = max(float(array.max()), -float(array.min()))
    if largest <= _FP16_MAX:
        return False
    # Rare: infinities, NaN or large numbers; only now is a temporary worth its memory.
    magnitude = np.abs(array)
    return bool(((magnitude > _FP16_MAX) & (magnitude < _INFINITY)).any())


def stands_for_infinity(array: NDArray[Any]) -> bool:
    """Whether an fp32 array has elements of 1e38 and more that are finite."""
    if array.size == 0 or max(float(array.max()), -float(array.min())) <= _FP16_MAX:
        return False
    return bool(((np.abs(array) > _FP16_MAX) & np.isfinite(array)).any())


def _saturated(array: NDArray[Any]) -> NDArray[Any]:
    """Return an fp32 array with finite elements beyond fp16 brought to its largest number."""
    return np.where(np.isfinite(array), np.clip(array, -_FP16_MAX, _FP16_MAX), array)


def _fp32_constants(op: Any) -> Iterator[Any]:
    for value in op.inputs.values():
        for var in value if isinstance(value, (list, tuple)) else (value,):
            is_constant = var.op is not None and var.op.op_type == "const"
            if is_constant and var.is_tensor_or_scalar_of(dtype="fp32"):
                yield var


_REPLACEMENTS: MappingProxyType[str, Callable[[], Any]] = MappingProxyType(
    {"common::add_fp16_cast": Fp16Cast, "common::add_int16_cast": Int16Cast}
)
