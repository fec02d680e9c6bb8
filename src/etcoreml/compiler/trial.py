"""Convert one node alone, to see whether it can be.

The support rules know the ops that networks are made of. What they do not know is settled here,
before the node enters a delegate, since a partition that fails to convert fails the whole lowering.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.fx import Graph, GraphModule, Node
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


def _alone(node: Node, constants: Collection[str]) -> ExportedProgram:
    """Return a program of one call, with ones for what is constant.

    Raises:
        Exception: Something else than tensors enters the node, or torch cannot export it alone.
    """
    picks = [user.args[1] for user in node.users if user.target is operator.getitem]
    # Which results are wanted may decide how an op is converted.
    picked: list[Any] = sorted(set(picks)) if len(picks) == len(node.users) else []
    fixed = {
        each: torch.ones_like(_example(each.meta["val"]))
        for each in node.all_input_nodes
        if each.name in constants
    }
    values = [each.meta.get("val") for each in (node, *node.all_input_nodes)]
    if all(map(_is_static, values)):
        return _written(node, fixed, picked)
    return _exported(node, fixed, picked)


def _is_static(value: Any) -> bool:
    """Whether a value consists of tensors of known sizes."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_static, value))
    return isinstance(value, Tensor) and all(isinstance(size, int) for size in value.shape)


def _written(node: Node, fixed: Mapping[Node, Tensor], picked: Sequence[Any]) -> ExportedProgram:
    """Write the program down, which takes a fraction of the time to export it."""
    graph = Graph()
    copies: dict[Node, Node] = {}
    taken = []
    for each in sorted(node.all_input_nodes, key=lambda each: each not in fixed):
        copies[each] = graph.placeholder(each.name)
        copies[each].meta["val"] = each.meta["val"].contiguous()  # orders are not the op's affair
        name = copies[each].name
        kind, target = (InputKind.BUFFER, name) if each in fixed else (InputKind.USER_INPUT, None)
        persistent = True if each in fixed else None
        taken.append(InputSpec(kind, TensorArgument(name), target, persistent))
    arguments, options = (map_arg(each, copies.__getitem__) for each in (node.args, node.kwargs))
    call = graph.call_function(_target(node), arguments, options)
    given = (map_arg(each, lambda copy: copy.meta["val"]) for each in (arguments, options))
    call.meta["val"] = _target(node)(*next(given), **next(given))
    results = [call]
    if not isinstance(call.meta["val"], Tensor):
        results = []
        for index in picked or range(len(call.meta["val"])):
            results.append(graph.call_function(operator.getitem, (call, index)))
            results[-1].meta["val"] = call.meta["val"][index]
    graph.output(tuple(results))
    made = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(each.name), None) for each in results]
    state = {copies[each].name: value for each, value in fixed.items()}
    return ExportedProgram(
        root=GraphModule({}, graph),
        graph=graph,
        graph_signature=ExportGraphSignature(taken, made),
        state_dict=state,
        range_constraints={},
        module_call_graph=[],
    )


def _exported(node: Node, fixed: Mapping[Node, Tensor], picked: Sequence[Any]) -> ExportedProgram:
    """Export the call, whose sizes may vary."""
    free = [each for each in node.all_input_nodes if each not in fixed]
    inputs = tuple(_example(each.meta["val"]) for each in free)
    varying = tuple(_varying(each.meta["val"]) for each in free)
    program = torch.export.export(
        _Alone(node, fixed, picked),
        inputs,
        dynamic_shapes=(varying,) if any(varying) else None,
        strict=False,
    )
    return program.run_decompositions({})


class _Alone(nn.Module):  # type: ignore[misc] # torch is untyped here
    """Calls an op on the inputs that are no constants."""

    def __init__(self, node: Node, fixed: Mapping[Node, Tensor], picked: Sequence[Any]) -> None:
        super().__init__()
        self.node = node
        self.picked = picked
        for each, value in fixed.items():
            self.register_buffer(each.name, value)

    def forward(self, *inputs: Tensor) -> Any:
        given = iter(inputs)
        own = dict(self.named_buffers())
        values = {
            each: own[each.name] if each.name in own else next(given)
            for each in self.node.all_input_nodes
        }
        arguments, options = (
            map_arg(each, values.__getitem__) for each in (self.node.args, self.node.kwargs)
        )
        result = _target(self.node)(*arguments, **options)
        return tuple(result[index] for index in self.picked) if self.picked else result


def _target(node: Node) -> Any:
    """Return the op that a node calls, in ATen's dialect."""
    target = node.target
    return target if isinstance(target, torch._ops.OpOverload) else getattr(target, "_op", target)


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
