"""Convert one node alone, to see whether it can be.

The support rules know the ops that networks are made of. What they do not know is settled here,
before the node enters a delegate, since a partition that fails to convert fails the whole lowering.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg

from etcoreml.compiler.convert import MACHINE_FAILURES, converted
from etcoreml.compiler.names import op_name
from etcoreml.compiler.specs import Options
from etcoreml.errors import EtCoreMLError

_VERDICTS: dict[str, str | None] = {}
"""What was tried in this process: signature to reason."""


def why_not_convertible(node: Node, options: Options, constants: Collection[str]) -> str | None:
    """Convert a node alone, and return why that fails, or None when it does not.

    Sizes that vary do so in the trial, too, but any two of them independently unless torch finds
    that they are equal. The verdict is kept for the process.

    Args:
        node: A call node of an edge program.
        options: The compile specs.
        constants: Names of the placeholders whose values go into the model.
    """
    options = _of_single_nodes(options)
    signature = _signature(node, options, constants)
    if signature not in _VERDICTS:
        _VERDICTS[signature] = _try(node, options, constants)
    return _VERDICTS[signature]


def _of_single_nodes(options: Options) -> Options:
    """Return options without those of whole models: a node is not to blame for what they miss."""
    return replace(
        options,
        quantizer_config=None,
        weight_compression=None,
        enumerated_shapes=None,
        pass_pipeline=copy.deepcopy(options.pass_pipeline),  # a conversion takes passes out
    )


def _signature(node: Node, options: Options, constants: Collection[str]) -> str:
    """Return what the verdict depends on."""

    def told(each: Node) -> Any:
        value = each.meta.get("val")
        if isinstance(value, Tensor):
            return f"{value.dtype}{list(value.shape)}{'c' if each.name in constants else ''}"
        return str(type(value))

    parts = map_arg((node.args, node.kwargs), told)
    users = sorted({str(user.args[1:]) for user in node.users if user.target is operator.getitem})
    told_options = (
        options.deployment_target,
        options.compute_precision,
        options.pass_pipeline.passes,
    )
    return f"{op_name(node)} {parts} {users} {told_options}"


def _try(node: Node, options: Options, constants: Collection[str]) -> str | None:
    try:
        program = _alone(node, constants)
    except Exception:
        return None  # what cannot be tried alone is left to the rules
    try:
        with converted(program, options):
            return None
    except EtCoreMLError as error:
        if isinstance(error.__cause__, MACHINE_FAILURES):
            raise
        first = str(error.found or error).splitlines()[0]
        return f"coremltools does not convert it: {first}"


class _Alone(nn.Module):  # type: ignore[misc] # torch is untyped here
    """Calls an op on the inputs that are no constants."""

    def __init__(self, node: Node, constants: Collection[str]) -> None:
        super().__init__()
        self.node = node
        # Which results are wanted may decide how an op is converted.
        picks = [user.args[1] for user in node.users if user.target is operator.getitem]
        self.picked: list[Any] = sorted(set(picks)) if len(picks) == len(node.users) else []
        self.fixed = {each for each in node.all_input_nodes if each.name in constants}
        for each in self.fixed:
            self.register_buffer(each.name, torch.ones_like(_example(each.meta["val"])))

    def forward(self, *inputs: Tensor) -> Any:
        given = iter(inputs)
        values = {
            each: getattr(self, each.name) if each in self.fixed else next(given)
            for each in self.node.all_input_nodes
        }
        target: Any = getattr(self.node.target, "_op", self.node.target)
        result = target(*_given(self.node.args, values), **_given(self.node.kwargs, values))
        return tuple(result[index] for index in self.picked) if self.picked else result


def _given(arguments: Any, values: dict[Node, Any]) -> Any:
    return map_arg(arguments, values.__getitem__)


def _alone(node: Node, constants: Collection[str]) -> Any:
    module = _Alone(node, constants)
    free = [each for each in node.all_input_nodes if each not in module.fixed]
    inputs = tuple(_example(each.meta["val"]) for each in free)
    varying = tuple(_varying(each.meta["val"]) for each in free)
    program = torch.export.export(
        module, inputs, dynamic_shapes=(varying,) if any(varying) else None, strict=False
    )
    return program.run_decompositions({})


def _varying(value: Tensor) -> dict[int, Any]:
    """Return which dimensions of a fake tensor vary, in torch.export's terms."""
    return {
        axis: torch.export.Dim.AUTO
        for axis, size in enumerate(value.shape)
        if not isinstance(size, int)
    }


def _example(value: Any) -> Tensor:
    """Return zeros of the shape and dtype of a fake tensor.

    Raises:
        TypeError: The value is no tensor.
    """
    if not isinstance(value, Tensor):
        what = "only tensors enter an op that is tried alone"
        raise TypeError(what)
    sizes = [size if isinstance(size, int) else size.node.hint for size in value.shape]
    return torch.zeros(sizes, dtype=value.dtype)
