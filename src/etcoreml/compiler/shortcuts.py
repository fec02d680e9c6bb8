"""Steps of coremltools that change nothing, left out while we convert.

Three of them cost a fourth of its passes. At the end of every ``with block``, some hundred times
for a model, each variable is told which ``constexpr`` ops it is computed from, also where there are
none. And the pass that moves transposes writes the whole program as text for a log that nobody
reads, and finds out anew what each op computes: it compares every constant with itself. The
shortcuts hold for all threads of the process: those that convert with coremltools itself
meanwhile get the same models, but a program that they print is no more than its name.

Source: coremltools 9.0 ``converters/mil/mil/block.py``, ``operation.py``,
``ops/defs/iOS15/control_flow.py``, ``passes/defs/optimize_repeat_ops.py``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from etcoreml.mil.ct import coremltools

ct = coremltools()
mil = ct.converters.mil.mil
Block, Function = mil.block.Block, mil.block.Function

Operation = mil.operation.Operation

_propagate = Block._propagate_nonreplaceable_vars
_infer = Operation.type_value_inference


@contextlib.contextmanager
def shortcuts() -> Iterator[None]:
    """Take the shortcuts for the duration of the block. Conversions are one at a time anyway."""
    with contextlib.ExitStack() as stack:
        _replace(stack, Block, "_propagate_nonreplaceable_vars", _propagate_if_any)
        _replace(stack, Operation, "type_value_inference", _infer_unless_known)
        if not logging.getLogger(ct.__name__).isEnabledFor(logging.DEBUG):
            _replace(stack, Function, "__str__", lambda function: str(function.name))
        yield


def _replace(stack: contextlib.ExitStack, owner: type, name: str, method: Any) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, method)


def _propagate_if_any(block: Any) -> None:
    """Do what coremltools does where it can matter: nothing comes of nothing."""
    if block.outer_op is not None or any(map(_may_matter, block.operations)):
        _propagate(block)


def _infer_unless_known(op: Any, overwrite_output: bool = False) -> None:
    """Do what coremltools does, but for a constant that has its variable: it has its value, too."""
    if not (overwrite_output and op.op_type == "const" and _has_its_value(op)):
        _infer(op, overwrite_output)


def _has_its_value(constant: Any) -> bool:
    made = constant._output_vars
    return bool(made) and made[0].val is constant.val.val


def _may_matter(op: Any) -> bool:
    return (
        op.op_type.startswith("constexpr_")
        or bool(op.blocks)
        or any(each.nonreplaceable_vars_upstream for each in op.outputs or ())
    )
