"""Rules every program keeps, checked between loading and translating.

Enters: a decoded program. Leaves: nothing, or the first rule broken as a ModelError.

The rules: a value is defined once within its scope and before it is used; every block output
exists; an operation has a type and each of its outputs a name; a const has a value. What an op
demands of its operands is the translator's business.
"""

from __future__ import annotations

from etcoreml.errors import ModelError
from etcoreml.mil.pipeline import NonMaximumSuppression, Pipeline, Stage
from etcoreml.mil.program import Block, Function, MilProgram, Operation


def check_program(program: MilProgram) -> None:
    """Check every function.

    Raises:
        ModelError: A rule of the module's docstring is broken; the message names the function,
            the operation and the value.
    """
    if not program.functions:
        msg = "the ML Program has no function"
        raise ModelError(msg)
    for function in program.functions.values():
        _check_function(function)


def check_pipeline(pipeline: Pipeline) -> None:
    """Check that every feature a stage or the pipeline's result needs is there by then.

    Raises:
        ModelError: One is not, two stages share a name, or there is no stage; the message names
            stage and feature.
    """
    if not pipeline.stages:
        msg = "the pipeline has no stage"
        raise ModelError(msg)
    known = {feature.name for feature in pipeline.signature.inputs}
    names: set[str] = set()
    for stage in pipeline.stages:
        if stage.name in names:
            msg = "two stages of the pipeline have one name"
            raise ModelError(msg, found=repr(stage.name))
        names.add(stage.name)
        missing = [name for name in _needs(stage) if name not in known]
        if missing:
            msg = f"stage {stage.name!r} of the pipeline takes what nothing before it gives"
            raise ModelError(msg, found=", ".join(missing))
        known.update(feature.name for feature in stage.signature.outputs)
        if isinstance(stage.model, NonMaximumSuppression):
            known.update((stage.model.confidence_output, stage.model.coordinates_output))
    missing = [f.name for f in pipeline.signature.outputs if f.name not in known]
    if missing:
        msg = "the pipeline returns what no stage gives"
        raise ModelError(msg, found=", ".join(missing))


def _needs(stage: Stage) -> list[str]:
    """Return the features a stage cannot do without."""
    needed = [feature.name for feature in stage.signature.inputs if not feature.optional]
    if not isinstance(stage.model, NonMaximumSuppression):
        return needed
    # Its thresholds have values of their own, whatever the description says.
    model = stage.model
    thresholds = {model.iou_threshold_input, model.confidence_threshold_input}
    needed = [name for name in needed if name not in thresholds]
    return list(dict.fromkeys([*needed, model.confidence_input, model.coordinates_input]))


def _check_function(function: Function) -> None:
    where = f"function {function.name!r}"
    known: set[str] = set()
    for value in (*function.inputs, *function.states):
        _define(value.name, known, where)
    _check_block(function.block, known, where)


def _check_block(block: Block, outer: set[str], where: str) -> None:
    known = set(outer)
    for value in block.inputs:
        _define(value.name, known, where)
    for operation in block.operations:
        _check_operation(operation, known, where)
    for name in block.outputs:
        if name not in known:
            msg = f"{where} returns a value that nothing defines"
            raise ModelError(msg, found=repr(name))


def _check_operation(operation: Operation, known: set[str], where: str) -> None:
    label = f"{where}, operation {operation.name!r} ({operation.type})"
    if not operation.type:
        msg = f"{label} has no type"
        raise ModelError(msg)
    if operation.type == "const" and "val" not in operation.attributes:
        msg = f"{label} has no value"
        raise ModelError(msg)
    for parameter, arguments in operation.inputs.items():
        for argument in arguments:
            if isinstance(argument, str) and argument not in known:
                msg = f"{label} uses a value that nothing before it defines"
                raise ModelError(
                    msg,
                    found=f"{parameter}={argument!r}",
                )
    for block in operation.blocks:
        _check_block(block, known, label)
    for value in operation.outputs:
        _define(value.name, known, label)


def _define(name: str, known: set[str], where: str) -> None:
    if not name:
        msg = f"{where} defines a value without a name"
        raise ModelError(msg)
    if name in known:
        msg = f"{where} defines a value a second time"
        raise ModelError(msg, found=repr(name))
    known.add(name)
