"""What it costs to store one tensor of a program in fp16, all others being fp32.

What enters is an edge program before delegation and inputs; what leaves is, for each tensor whose
rounding changes anything, the noise that this alone puts into the outputs, and the nodes that have
to be computed in fp32 for the tensor to stay unrounded. Noises of single tensors add up to that of
the whole program nearly enough to rank them; what a set of nodes really gives is measured by
lowering (``search``).

The program is run by eager, node by node. For each tensor only what depends on it is run again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from etcoreml.compiler.placeholders import held_tensors

Values = dict[Node, Any]


@dataclass(frozen=True)
class RoundedTensor:
    """A tensor that fp16 does not hold as it is.

    Attributes:
        node: Name of the node that makes it, or of a placeholder.
        noise: Energy of the change of an output over the energy of that output, the largest of all
            outputs and inputs given; infinite where fp16 overflows and an output becomes inf or
            nan.
        nodes: Names of the nodes that make or read it, also behind nodes that pass numbers on.
    """

    node: str
    noise: float
    nodes: frozenset[str]


def rounded_tensors(
    program: ExportedProgram,
    inputs: Sequence[tuple[Any, ...]],
    delegated: Collection[str],
    say: Callable[[int, int], None] = lambda done, all_: None,
) -> list[RoundedTensor]:
    """Return the tensors whose rounding costs anything, the dearest first.

    Args:
        program: In edge dialect, before delegation.
        inputs: Positional inputs of each run.
        delegated: Names of the nodes that go to Core ML; what no such node makes or reads stays
            as it is.
        say: Is told how many tensors of how many are done.
    """
    runs = [_run(program, each) for each in inputs]
    passing = [_passing(values) for values in runs]
    candidates = [
        node
        for node in program.graph.nodes
        if _is_touched(node, delegated) and any(node not in passes for passes in passing)
    ]
    found = []
    for done, node in enumerate(candidates):
        say(done, len(candidates))
        noise = max(_noise(program, values, node) for values in runs)
        if noise > 0:
            around = {each.name for each in _around(node, passing[0])}
            found.append(RoundedTensor(node.name, noise, frozenset(around & set(delegated))))
    say(len(candidates), len(candidates))
    return sorted(found, key=lambda each: -each.noise)


def _run(program: ExportedProgram, inputs: tuple[Any, ...]) -> Values:
    """Return the value of every node of a run in fp32."""
    values = _given(program, inputs)
    for node in program.graph.nodes:
        if node.op == "call_function":
            values[node] = _call(node, values)
    return values


def _given(program: ExportedProgram, inputs: tuple[Any, ...]) -> Values:
    held: Mapping[str, Any] = {**program.state_dict, **program.constants}
    targets = held_tensors(program)
    rest = iter(pytree.tree_leaves(inputs))
    return {
        node: held[targets[node.name]] if node.name in targets else next(rest)
        for node in program.graph.find_nodes(op="placeholder")
    }


def _call(node: Node, values: Mapping[Node, Any]) -> Any:
    args, kwargs = (map_arg(each, values.__getitem__) for each in (node.args, node.kwargs))
    with torch.no_grad():
        return node.target(*args, **kwargs)


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float32


def _half(value: Tensor) -> Tensor:
    return value.half().float()


def _is_touched(node: Node, delegated: Collection[str]) -> bool:
    """Whether a delegate makes or reads what a node is."""
    return node.op in ("placeholder", "call_function") and (
        node.name in delegated or any(user.name in delegated for user in node.users)
    )


def _passing(values: Values) -> set[Node]:
    """Return the calls that make numbers of fp16 of numbers of fp16, and what is none of fp32."""
    return {node for node in values if not _is_float(values[node]) or _passes_on(node, values)}


def _passes_on(node: Node, values: Values) -> bool:
    """Whether a node makes numbers of fp16 out of numbers of fp16, as views and relu do."""
    value = values[node]
    if bool(torch.equal(_half(value), value)):
        return True
    if node.op == "placeholder":
        return False
    sources = [each for each in node.all_input_nodes if _is_float(values[each])]
    if not sources:
        return False
    rounded = {each: _half(values[each]) for each in sources}
    made = _call(node, _Changed(values, rounded))
    return bool(_same(_half(made), made))


class _Changed(dict[Node, Any]):
    """Values of a run, some of which are others."""

    def __init__(self, values: Values, changed: Values) -> None:
        super().__init__(changed)
        self._values = values

    def __missing__(self, node: Node) -> Any:
        return self._values[node]


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, nan being equal to nan."""
    leaves = zip(pytree.tree_leaves(one), pytree.tree_leaves(other), strict=True)
    return all(
        bool(((a == b) | ((a != a) & (b != b))).all()) if isinstance(a, Tensor) else a == b
        for a, b in leaves
    )


def _noise(program: ExportedProgram, values: Values, node: Node) -> float:
    """Return the noise that rounding one tensor puts into the outputs."""
    if not _is_float(values[node]):
        return 0.0
    changed = _Changed(values, {node: _half(values[node])})
    if _same(changed[node], values[node]):
        return 0.0
    for each in program.graph.nodes:
        if each.op == "call_function" and each is not node:
            if changed.keys().isdisjoint(each.all_input_nodes):
                continue
            made = _call(each, changed)
            if not _same(made, values[each]):
                changed[each] = made
    results = program.graph.output_node().all_input_nodes
    return max((_relative(changed[each], values[each]) for each in results), default=0.0)


def _relative(actual: Any, expected: Any) -> float:
    if not isinstance(expected, Tensor):
        return 0.0
    a, e = actual.double(), expected.double()
    finite = torch.isfinite(e)
    if bool((finite & ~torch.isfinite(a)).any()):
        return math.inf
    a, e = a[finite], e[finite]
    noise, signal = float((a - e).square().sum()), float(e.square().sum())
    return noise / signal if signal else (math.inf if noise else 0.0)


def _around(node: Node, passing: Collection[Node]) -> set[Node]:
    """Return the node that makes a tensor, and all that read it, or what is passed on of it."""
    found, ahead = {node}, [node]
    while ahead:
        for user in ahead.pop().users:
            if user.op == "call_function" and user not in found:
                found.add(user)
                if user in passing:
                    ahead.append(user)
    return found
