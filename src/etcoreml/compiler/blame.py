"""Which node of a partition makes its conversion fail.

What enters is a partition that failed, and the error; what leaves is the node to leave outside of
the delegate. coremltools converts node by node first, and the traceback tells which one it was at.
A failure after that, in a pass or while the model is written, is found by converting prefixes of
the partition.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ExportGraphSignature,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.fx import Node

from etcoreml.compiler.convert import MACHINE_FAILURES, converted, isolated
from etcoreml.compiler.names import has_out_variant, op_name
from etcoreml.compiler.specs import Options
from etcoreml.errors import LowerError


@dataclass(frozen=True)
class Culprit:
    """A node that has to stay outside.

    Attributes:
        node: Its name.
        op: Its op, e.g. ``aten.mm.default``.
        reason: Why, as a sentence without a full stop.
        can_run_outside: Whether ExecuTorch can run it. It cannot run some of the ops that were
            kept whole for Core ML, and it is too late to take those apart.
    """

    node: str
    op: str
    reason: str
    can_run_outside: bool


def culprit(program: ExportedProgram, options: Options, error: LowerError) -> Culprit | None:
    """Return the node that makes a conversion fail, or None when no node is to blame.

    Args:
        program: The partition, as it was before the conversion.
        options: The options of the conversion.
        error: What it raised.
    """
    cause = error.__cause__
    if error.by_option or cause is None or isinstance(cause, MACHINE_FAILURES):
        return None  # an option, the partition as a whole, or the machine
    if not _converts(_simple(), options):
        return None  # whatever fails here fails with every node
    name = error.node or _last_of_failing_prefix(program, options)
    node = next(each for each in program.graph.nodes if each.name == name)
    if node.target is operator.getitem:
        node = node.all_input_nodes[0]  # which cannot be outside while its results are inside
    found = f"{type(cause).__name__}: {cause}".splitlines()[0]
    reason = f"its delegate does not convert with it: {found}"
    target = getattr(node.target, "_op", node.target)
    runs = not isinstance(target, OpOverload) or has_out_variant(target)
    return Culprit(node.name, op_name(node), reason, runs)


class _Negation(nn.Module):  # type: ignore[misc] # torch is untyped here
    def forward(self, x: Tensor) -> Tensor:
        return -x


def _simple() -> ExportedProgram:
    """Return a program that converts unless it is not the program's fault."""
    return torch.export.export(_Negation(), (torch.zeros(2),), strict=False).run_decompositions({})


def _last_of_failing_prefix(program: ExportedProgram, options: Options) -> str:
    """Return the last node of a prefix that fails to convert, while the one before converts.

    Takes one conversion for each halving of the partition.
    """
    calls = [
        each
        for each in program.graph.nodes
        if each.op == "call_function" and each.target is not operator.getitem
    ]
    converts, fails = 0, len(calls)
    while fails - converts > 1:
        middle = (converts + fails) // 2
        if _converts(_prefix(program, calls[:middle]), options):
            converts = middle
        else:
            fails = middle
    return str(calls[fails - 1].name)


def _converts(program: ExportedProgram, options: Options) -> bool:
    if not program.graph_signature.output_specs:
        return True
    try:
        with converted(program, options):
            return True
    except LowerError:
        return False


def _prefix(program: ExportedProgram, calls: Sequence[Node]) -> ExportedProgram:
    """Return a partition of the first nodes of another, which returns what the others read."""
    kept = {each.name for each in calls}
    cut = isolated(program)
    graph = cut.graph
    inside = [
        each
        for each in graph.nodes
        if each.name in kept
        or (each.target is operator.getitem and each.all_input_nodes[0].name in kept)
    ]
    known = set(inside)
    outputs = [
        each
        for each in inside
        if isinstance(each.meta.get("val"), Tensor) and not known.issuperset(each.users)
    ]
    final = graph.output_node()
    final.args = (tuple(outputs),)
    for node in reversed(graph.nodes):
        if node.op == "call_function" and node not in known:
            graph.erase_node(node)
    cut._graph_signature = ExportGraphSignature(
        program.graph_signature.input_specs,
        [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(each.name), None) for each in outputs],
    )
    return cut
