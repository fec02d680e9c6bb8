"""A Core ML function's inputs and outputs as those of an ExecuTorch method.

Enters: a program and one of its functions. Leaves: tensors with dtypes and largest shapes. What the
model leaves open of its outputs, the engine's shape inference fills in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from etcoreml.deploy.pte_writer import TensorSlot
from etcoreml.errors import EtCoreMLError, ProgramError, UsageError
from etcoreml.mil import Feature, Function, MilProgram, TensorType
from etcoreml.mil.program import Output, Range
from etcoreml.runtime.features import feature_text, shape_text
from etcoreml.types import BY_NAME, DType

MaxShapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Largest shape of an input, by its name."""

_DTYPES = ("fp16", "fp32", "fp64", "int32")
"""What Core ML's arrays and ExecuTorch's tensors have in common, as Apple's delegate knows it."""

_WHY_NO_IMAGE = (
    "ExecuTorch hands its delegates tensors, and Core ML takes a picture as nothing else"
)


def method_slots(
    program: MilProgram, function: str, max_shapes: MaxShapes
) -> tuple[tuple[TensorSlot, ...], tuple[TensorSlot, ...]]:
    """Return the inputs and the outputs of a function, in the order of its description.

    Raises:
        ProgramError: One cannot be a tensor of a .pte.
        UsageError: A shape of ``max_shapes`` is not one that the model allows.
    """
    code = program.function(function)
    signature = program.signatures[function]
    ranges = {each.name: _input_ranges(each, code, max_shapes) for each in signature.inputs}
    inputs = tuple(
        _slot(each, _dtype(each, "input"), ranges[each.name]) for each in signature.inputs
    )
    for each in signature.outputs:
        _check_kind(each, "output")
    sizes = _output_ranges(code, ranges)
    outputs = tuple(
        _slot(each, _dtype(each, "output", code), sizes[each.name]) for each in signature.outputs
    )
    return inputs, outputs


def _slot(feature: Feature, dtype: DType, ranges: Sequence[Range]) -> TensorSlot:
    shape = tuple(high or 0 for _, high in ranges)
    return TensorSlot(feature.name, dtype, shape, any(low != high for low, high in ranges))


def _check_kind(feature: Feature, what: str) -> None:
    if feature.kind == "multiArray":
        return
    hint = None
    if feature.kind == "image":
        hint = "Convert the model with a ct.TensorType in place of the ct.ImageType; scale and "
        hint += "bias of the picture are then the app's to apply."
        why = _WHY_NO_IMAGE
    else:
        why = "ExecuTorch has tensors, and no dictionaries or class labels"
        if what == "output":
            hint = "Convert the model without classifier_config: its output is then an array."
    raise ProgramError(
        f"{what} '{feature.name}' cannot be a tensor of a .pte: {why}",
        found=feature_text(feature),
        expected="a multi-array",
        hint=hint,
    )


def _dtype(feature: Feature, what: str, function: Function | None = None) -> DType:
    _check_kind(feature, what)
    dtype = feature.dtype
    if dtype is None and function is not None:
        type_ = _value(function.outputs, feature.name).type
        dtype = type_.dtype if isinstance(type_, TensorType) else None
    if dtype is None or dtype.name not in _DTYPES:
        raise ProgramError(
            f"{what} '{feature.name}' has a dtype that Apple's delegate does not exchange",
            found=dtype or "none",
            expected=", ".join(str(BY_NAME[name]) for name in _DTYPES),
        )
    return dtype


def _value(values: Sequence[Output], name: str) -> Output:
    for value in values:
        if value.name == name:
            return value
    raise ProgramError(
        f"the model describes '{name}', and its program has no such value",
        found=", ".join(value.name for value in values),
    )


def _input_ranges(feature: Feature, function: Function, max_shapes: MaxShapes) -> tuple[Range, ...]:
    _check_kind(feature, "input")
    declared = _declared(feature, function)
    largest = max_shapes.get(feature.name)
    if largest is not None:
        return _limited(feature, declared, largest)
    if any(high is None for _, high in declared):
        raise ProgramError(
            f"input '{feature.name}' may have any size, and a .pte plans its memory ahead",
            found=shape_text(feature),
            expected="a largest size in every dimension",
            hint=f"Set one: --max-shape {feature.name}="
            + ",".join("N" if high is None else str(high) for _, high in declared),
        )
    return declared


def _declared(feature: Feature, function: Function) -> tuple[Range, ...]:
    if feature.enumerated:
        ranks = {len(shape) for shape in feature.enumerated}
        if len(ranks) > 1:
            raise ProgramError(
                f"input '{feature.name}' may have several ranks, and a .pte's tensors have one",
                found=shape_text(feature),
            )
        return tuple((min(sizes), max(sizes)) for sizes in zip(*feature.enumerated, strict=True))
    if feature.ranges:
        return feature.ranges
    shape: Sequence[int | None] | None = feature.shape
    if not shape:
        type_ = _value(function.inputs, feature.name).type
        shape = type_.shape if isinstance(type_, TensorType) else None
    if shape is None:
        raise ProgramError(f"the model does not say which shape its input '{feature.name}' has")
    return tuple((1, None) if size is None else (size, size) for size in shape)


def _limited(
    feature: Feature, declared: tuple[Range, ...], largest: tuple[int, ...]
) -> tuple[Range, ...]:
    fits = len(largest) == len(declared) and all(
        low <= size and (high is None or size <= high)
        for size, (low, high) in zip(largest, declared, strict=True)
    )
    if not fits:
        raise UsageError(
            f"input '{feature.name}' cannot have the shape {largest}",
            expected=shape_text(feature),
        )
    if feature.enumerated:
        kept = [
            shape
            for shape in feature.enumerated
            if all(size <= most for size, most in zip(shape, largest, strict=True))
        ]
        declared = tuple((min(sizes), max(sizes)) for sizes in zip(*kept, strict=True))
    return tuple(
        (low, size if high is None else min(size, high))
        for size, (low, high) in zip(largest, declared, strict=True)
    )


def _output_ranges(
    function: Function, inputs: Mapping[str, tuple[Range, ...]]
) -> dict[str, tuple[Range, ...]]:
    """Return the sizes of the outputs: as the program declares them, or else as inferred."""
    declared = {value.name: _static(value) for value in function.outputs}
    sizes = {name: each for name, each in declared.items() if each is not None}
    if len(sizes) == len(declared):
        return sizes
    return {**_inferred(function, inputs), **sizes}


def _static(value: Output) -> tuple[Range, ...] | None:
    shape = value.type.shape if isinstance(value.type, TensorType) else None
    if shape is None or any(size is None for size in shape):
        return None
    return tuple((size, size) for size in shape if size is not None)


def _inferred(
    function: Function, inputs: Mapping[str, tuple[Range, ...]]
) -> dict[str, tuple[Range, ...]]:
    from etcoreml.engine.bounds import output_ranges

    what = "the model leaves the shape of its outputs open, and it cannot be inferred here"
    try:
        found = output_ranges(function, inputs)
        at_most = output_ranges(function, {name: _largest(each) for name, each in inputs.items()})
    except EtCoreMLError as error:
        raise ProgramError(what, found=error.message, hint=error.hint) from error
    result = {}
    for name, ranges in found.items():
        limits = at_most[name]
        if ranges is None or limits is None:
            raise ProgramError(what, found=f"output '{name}' of unknown rank")
        # Where intervals lead to no limit, the largest inputs are taken to give the largest output.
        known = [
            (low, other if high is None else high)
            for (low, high), (_, other) in zip(ranges, limits, strict=True)
        ]
        if any(high is None for _, high in known):
            raise ProgramError(
                f"output '{name}' may have any size, and a .pte plans its memory ahead",
                found=f"({', '.join('any' if high is None else str(high) for _, high in known)})",
                expected="a size that follows from the inputs' shapes",
            )
        result[name] = tuple(known)
    return result


def _largest(ranges: Sequence[Range]) -> list[Range]:
    return [(low if high is None else high, high) for low, high in ranges]
