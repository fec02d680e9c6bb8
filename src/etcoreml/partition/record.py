"""Record what became of a program: from tags and reasons to the rows of a report."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from etcoreml.compiler.names import op_name
from etcoreml.compiler.placeholders import constant_names
from etcoreml.compiler.resolution import frames
from etcoreml.partition.breaks import Delegate, borders, breaks, number_delegates
from etcoreml.partition.cost import Value, cost_of, values_of
from etcoreml.partition.hints import advice
from etcoreml.partition.kernels import is_bookkeeping, lacks_kernel
from etcoreml.partition.report import Decision, ProgramReport, Size
from etcoreml.partition.source import module_of, source_of

_NO_BOUND = 2**62
_TWINS = "etcoreml."
_IN_A_BRANCH = "control flow runs outside of delegates"


@dataclass(frozen=True)
class Outcome:
    """What a partitioner did to a program.

    Attributes:
        program: The program, with delegation tags.
        reasons: Why nodes are outside.
        buffers: The mutable buffers' placeholders, with the reason why one stays outside or None.
        keeps_constants: Whether constants are part of the delegates.
        newer_target: Returns the deployment target that takes a node outside for a reason, or None.
    """

    program: ExportedProgram
    reasons: Mapping[Node, str]
    buffers: Mapping[Node, str | None]
    keeps_constants: bool
    newer_target: Callable[[Node, str], str | None]


def record(
    outcome: Outcome, index: int, method: str | None
) -> tuple[ProgramReport, list[Decision]]:
    """Return the summary of a program, and the decision about each of its nodes.

    Args:
        outcome: What was decided.
        index: The program's number.
        method: Its name, where it is known.
    """
    program = outcome.program
    inside = number_delegates(program.graph)
    constants = constant_names(program)
    recorder = _Recorder(outcome, index, inside, constants)
    decisions = list(recorder.decisions())
    counts = Counter(each.delegate for each in decisions)
    flops: Counter[int | None] = Counter()
    for each in decisions:
        flops[each.delegate] += each.flops or 0
    delegates = tuple(
        Delegate(number, counts[number], flops[number], weights, entering, leaving)
        for number, (entering, leaving, weights) in borders(
            inside, constants if outcome.keeps_constants else (), _returned(program)
        ).items()
    )
    gaps = tuple(breaks(program.graph, inside))
    return ProgramReport(index, method, delegates, gaps, _sizes(program)), decisions


class _Recorder:
    """Makes the decisions of one program."""

    def __init__(
        self,
        outcome: Outcome,
        index: int,
        inside: Mapping[Node, int],
        constants: frozenset[str],
    ) -> None:
        self._constants = constants
        self._outcome = outcome
        self._index = index
        self._inside = inside
        self._delegates = {node.meta["delegation_tag"]: n for node, n in inside.items()}
        self._values: dict[Node, tuple[Value, ...]] = {}

    def decisions(self) -> Iterator[Decision]:
        for node in self._outcome.program.graph.nodes:
            if node in self._outcome.buffers:
                reason = self._outcome.buffers[node]
                delegate = self._delegates.get(node.meta.get("delegation_tag"))
                yield Decision(
                    self._index,
                    node.name,
                    "buffer",
                    reason is None,
                    reason,
                    delegate,
                    outputs=self._made(node),
                    advice=None if reason is None else advice("buffer", reason),
                )
            elif _is_call(node):
                yield self._decision(node, node.name, self._reason(node))
                yield from self._branches(node, node.name)

    def _decision(self, node: Node, name: str, reason: str | None) -> Decision:
        inputs = tuple(value for each in node.all_input_nodes for value in self._made(each))
        outputs = self._made(node)
        cost = cost_of(node, inputs, outputs)
        op = _op_name(node)
        missing = reason is not None and lacks_kernel(node)
        newer = None if reason is None else self._outcome.newer_target(node, reason)
        return Decision(
            self._index,
            name,
            op,
            reason is None,
            reason,
            self._inside.get(node),
            inputs,
            outputs,
            cost.flops,
            cost.nbytes,
            source_of(node),
            module_of(node),
            None if reason is None else advice(op, reason, missing, newer),
            missing,
            is_bookkeeping(node),
        )

    def _branches(self, node: Node, name: str) -> Iterator[Decision]:
        """Yield the decisions about what control flow chooses from."""
        if not isinstance(node.target, torch._ops.HigherOrderOperator):
            return
        for branch in node.all_input_nodes:
            graph = _graph_of(branch)
            for each in graph.graph.nodes if graph is not None else ():
                if _is_call(each):
                    inner = f"{name}.{branch.target}.{each.name}"
                    yield self._decision(each, inner, _IN_A_BRANCH)
                    yield from self._branches(each, inner)

    def _reason(self, node: Node) -> str | None:
        """Return why a node is outside, or None."""
        if node in self._inside:
            return None
        return self._outcome.reasons.get(node, "no partition could take it in")

    def _made(self, node: Node) -> tuple[Value, ...]:
        if node not in self._values:
            self._values[node] = values_of(node, node.name in self._constants)
        return self._values[node]


def method_under_way() -> str | None:
    """Return the method that ExecuTorch lowers just now, or None when it does not say.

    Its interface for partitioners passes a program without its name (executorch 1.5.1).
    """
    name = next(
        (
            frame.f_locals.get("method_name")
            for frame in frames()
            if frame.f_globals.get("__name__") == "executorch.exir.backend.backend_api"
            and "method_name" in frame.f_locals
        ),
        None,
    )
    return name if isinstance(name, str) else None


def _is_call(node: Node) -> bool:
    """Whether a node is an op; getitem picks one result of the node before it and is none."""
    return node.op == "call_function" and node.target is not operator.getitem


def _op_name(node: Node) -> str:
    """Return the name of an op as the user knows it: our twins stand for ATen's own ops."""
    name = op_name(node)
    return f"aten.{name.removeprefix(_TWINS)}" if name.startswith(_TWINS) else name


def _graph_of(node: Node) -> GraphModule | None:
    if node.op != "get_attr":
        return None
    found: Any = getattr(node.graph.owning_module, str(node.target), None)
    return found if isinstance(found, GraphModule) else None


def _returned(program: ExportedProgram) -> frozenset[str]:
    """Return the names of the results that leave the program, not those that become state."""
    signature = program.graph_signature
    placeholders = {buffer: name for name, buffer in signature.inputs_to_buffers.items()}
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    state = {
        name
        for name, buffer in signature.buffers_to_mutate.items()
        if "delegation_tag" in nodes[placeholders[buffer]].meta
    }
    (output,) = program.graph.find_nodes(op="output")
    names = frozenset(each.name for each in output.all_input_nodes)
    return (names - state) | (names & frozenset(signature.user_outputs))


def _sizes(program: ExportedProgram) -> dict[str, Size]:
    """Return the sizes that vary: those that inputs bring, and those that depend on data."""
    examples: dict[str, int | None] = {}
    for node in program.graph.nodes:
        value = node.meta.get("val")
        for size in value.shape if isinstance(value, torch.Tensor) else ():
            if isinstance(size, torch.SymInt) and str(size) not in examples:
                known = size.node.hint if size.node.has_hint() else None
                examples[str(size)] = None if known is None else int(known)
    return {
        str(symbol): Size(
            examples.get(str(symbol)),
            _bound(bounds.lower),
            _bound(bounds.upper),
        )
        for symbol, bounds in program.range_constraints.items()
    }


def _bound(value: Any) -> int | None:
    """Return a bound of a size, or None for one that torch writes as infinity or as int64's end."""
    is_number = isinstance(value, int) or getattr(value, "is_Integer", False)
    return int(value) if is_number and abs(int(value)) < _NO_BOUND else None
