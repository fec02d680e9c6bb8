"""What a partitioner decided about every node, why, and what that costs.

What enters is one decision per node and one summary per program; what leaves is a list to read or
filter, a text (``str``) and a document (``to_dict``). docs/delegation-report.md describes both.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from etcoreml.partition.breaks import Break, Delegate
from etcoreml.partition.cost import Value
from etcoreml.partition.report_text import as_text, summary
from etcoreml.partition.source import Source
from etcoreml.targets import TARGETS, Target

_LOGGER = logging.getLogger(__name__)

SCHEMA = "etcoreml.delegation-report"
SCHEMA_VERSION = 1
"""Counted up when a field of the document changes its meaning or goes."""


@dataclass(frozen=True)
class Decision:
    """What became of one node.

    Attributes:
        program: Number of the program, in the order the partitioner saw them: the methods of a
            program come one after the other.
        node: Name of the node in the edge program.
        op: Its op, e.g. ``aten.mm.default``; ``buffer`` for a mutable buffer.
        delegated: Whether it runs inside a Core ML delegate.
        reason: Why it does not, as a sentence without a full stop; None when it does.
        delegate: Number of the delegate it is in; None outside.
        inputs: The tensors it reads.
        outputs: The tensors it writes.
        flops: Floating-point operations, an estimate; None when a size depends on data.
        nbytes: Bytes it reads and writes; None when a size depends on data.
        source: The line of the model it comes from; None when only torch's own are known.
        module: Path of the module it comes from; ``""`` for the model itself.
        advice: What to change so that it goes to Core ML, where something is known to help.
        lacks_kernel: Whether it is outside, and ExecuTorch's stock runtime has no kernel for it.
        bookkeeping: Whether it only computes or checks sizes, which needs no kernel.
    """

    program: int
    node: str
    op: str
    delegated: bool
    reason: str | None = None
    delegate: int | None = None
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    flops: int | None = 0
    nbytes: int | None = 0
    source: Source | None = None
    module: str = ""
    advice: str | None = None
    lacks_kernel: bool = False
    bookkeeping: bool = False


@dataclass(frozen=True)
class Size:
    """A size that varies.

    Attributes:
        example: Its value in the example inputs, with which costs are counted.
        low: Its least value; None when there is no bound.
        high: Its greatest value; None when there is no bound.
    """

    example: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class ProgramReport:
    """One program: a method of what is lowered.

    Attributes:
        index: Its number, as in `Decision.program`.
        method: Name of the method; None when ExecuTorch did not say.
        delegates: Its delegates, in graph order.
        breaks: What keeps them apart.
        sizes: The sizes that vary, by symbol.
    """

    index: int
    method: str | None
    delegates: tuple[Delegate, ...]
    breaks: tuple[Break, ...]
    sizes: Mapping[str, Size]


@dataclass(frozen=True)
class Totals:
    """How much of something goes to Core ML.

    Attributes:
        nodes: Number of nodes.
        nodes_delegated: Those inside delegates.
        flops: Floating-point operations, an estimate.
        flops_delegated: Those inside delegates.
        nbytes: Bytes that nodes read and write.
        nbytes_delegated: Those of nodes inside delegates.
        not_counted: Nodes whose sizes depend on data: they count no FLOPs and no bytes.
        delegates: Number of delegates.
        crossing_nbytes: Bytes that enter and leave delegates in one call of every method.
    """

    nodes: int
    nodes_delegated: int
    flops: int
    flops_delegated: int
    nbytes: int
    nbytes_delegated: int
    not_counted: int
    delegates: int
    crossing_nbytes: int


class DelegationReport:
    """The decisions of one partitioner, in graph order.

    Args:
        decisions: Decisions to start with.
        options: What was asked of the lowering, e.g. ``minimum_deployment_target``.

    Attributes:
        programs: A summary of each program the partitioner saw.
        options: As above. Where no deployment target was asked for, the lowest that the models
            need, once they are made.
    """

    def __init__(
        self, decisions: Iterable[Decision] = (), options: Mapping[str, str] | None = None
    ) -> None:
        self._decisions = list(decisions)
        self.programs: list[ProgramReport] = []
        self.options = dict(options or {})

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions)

    def __len__(self) -> int:
        return len(self._decisions)

    def add(self, decision: Decision) -> None:
        """Append one decision."""
        self._decisions.append(decision)

    def add_program(self, program: ProgramReport, decisions: Iterable[Decision]) -> None:
        """Append a program with the decisions about its nodes."""
        self.programs.append(program)
        self._decisions.extend(decisions)

    @property
    def target(self) -> Target:
        """The systems that the models run on, and all later ones."""
        name = self.options.get("minimum_deployment_target", TARGETS[0].names[0])
        return next(each for each in TARGETS if name in each.names)

    def add_model(self, spec_version: int) -> None:
        """Note the specification version of a model; a newer one than before raises the target."""
        if spec_version <= self.target.spec_version:
            return
        needed = next(each for each in TARGETS if each.spec_version >= spec_version)
        self.options["minimum_deployment_target"] = needed.names[0]
        _LOGGER.info("no minimum_deployment_target was given, and the model needs %s", needed)

    def forget(self, program: int) -> None:
        """Drop what was decided about a program, which is decided anew."""
        self._decisions = [each for each in self if each.program != program]
        self.programs = [each for each in self.programs if each.index != program]

    @property
    def delegated(self) -> list[Decision]:
        """The nodes inside a delegate."""
        return [each for each in self if each.delegated]

    @property
    def left_out(self) -> list[Decision]:
        """The nodes outside, each with its reason."""
        return [each for each in self if not each.delegated]

    @property
    def without_kernel(self) -> list[Decision]:
        """The nodes outside that ExecuTorch's stock runtime cannot run either."""
        return [each for each in self if each.lacks_kernel]

    def totals(self, program: int | None = None) -> Totals:
        """Return how much goes to Core ML, of one program or of all."""
        chosen = [each for each in self if program in (None, each.program)]
        inside = [each for each in chosen if each.delegated]
        programs = [each for each in self.programs if program in (None, each.index)]
        delegates = [each for one in programs for each in one.delegates]
        crossing = (value for one in delegates for value in (*one.inputs, *one.outputs))
        return Totals(
            nodes=len(chosen),
            nodes_delegated=len(inside),
            flops=sum(each.flops or 0 for each in chosen),
            flops_delegated=sum(each.flops or 0 for each in inside),
            nbytes=sum(each.nbytes or 0 for each in chosen),
            nbytes_delegated=sum(each.nbytes or 0 for each in inside),
            not_counted=sum(each.flops is None or each.nbytes is None for each in chosen),
            delegates=len(delegates),
            crossing_nbytes=sum(value.nbytes or 0 for value in crossing),
        )

    def summary(self) -> str:
        """Return the shares in one line."""
        return summary(self.totals())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a document of plain values, described in the documentation."""
        nodes: dict[int, list[Decision]] = {each.index: [] for each in self.programs}
        for each in self:
            nodes.setdefault(each.program, []).append(each)
        return {
            "schema": SCHEMA,
            "version": SCHEMA_VERSION,
            "options": dict(self.options),
            "totals": asdict(self.totals()),
            "programs": [self._program_dict(one, nodes[one.index]) for one in self.programs],
        }

    def _program_dict(self, program: ProgramReport, nodes: list[Decision]) -> dict[str, Any]:
        return {
            "index": program.index,
            "method": program.method,
            "totals": asdict(self.totals(program.index)),
            "sizes": {name: asdict(size) for name, size in program.sizes.items()},
            "delegates": [
                {
                    "index": each.index,
                    "nodes": each.nodes,
                    "flops": each.flops,
                    "weight_nbytes": each.weight_nbytes,
                    "inputs": [_value_dict(value) for value in each.inputs],
                    "outputs": [_value_dict(value) for value in each.outputs],
                }
                for each in program.delegates
            ],
            "breaks": [
                {
                    "before": list(each.before),
                    "after": list(each.after),
                    "nodes": list(each.nodes),
                    "leaving": [_value_dict(value) for value in each.leaving],
                    "entering": [_value_dict(value) for value in each.entering],
                    "nbytes": each.nbytes,
                    "calls": each.calls,
                }
                for each in program.breaks
            ],
            "nodes": [_decision_dict(each) for each in nodes],
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def __str__(self) -> str:
        return as_text(self)


def _value_dict(value: Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "dtype": value.dtype,
        "shape": list(value.shape),
        "sizes": None if value.sizes is None else list(value.sizes),
        "nbytes": value.nbytes,
        "constant": value.constant,
    }


def _decision_dict(each: Decision) -> dict[str, Any]:
    return {
        "node": each.node,
        "op": each.op,
        "delegated": each.delegated,
        "delegate": each.delegate,
        "reason": each.reason,
        "advice": each.advice,
        "lacks_kernel": each.lacks_kernel,
        "bookkeeping": each.bookkeeping,
        "module": each.module,
        "source": None if each.source is None else asdict(each.source),
        "inputs": [_value_dict(value) for value in each.inputs],
        "outputs": [_value_dict(value) for value in each.outputs],
        "flops": each.flops,
        "nbytes": each.nbytes,
    }
