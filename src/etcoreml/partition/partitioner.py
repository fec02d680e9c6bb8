"""Tag the nodes of an edge program that Core ML takes.

What enters is an exported program in edge dialect; what leaves is the same program with
delegation tags, and a report of every decision. Which nodes can go in is ``partition.support``'s
business; here they are grouped, and groups are checked as a whole.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from executorch.exir.backend.compile_spec_schema import CompileSpec
from executorch.exir.backend.partitioner import DelegationSpec, Partitioner, PartitionResult
from executorch.exir.backend.utils import tag_constant_data
from torch.export import ExportedProgram
from torch.fx import Node

from etcoreml.compiler.apple_compiler import compiler_command
from etcoreml.compiler.backend import CoreMLBackend
from etcoreml.compiler.blame import Culprit
from etcoreml.compiler.decompositions import is_taken_whole
from etcoreml.compiler.names import has_out_variant
from etcoreml.compiler.placeholders import constant_names
from etcoreml.compiler.resolution import OwnedSpecs, claim, frames
from etcoreml.compiler.specs import ModelType, decode_options
from etcoreml.compiler.trial import why_not_convertible
from etcoreml.errors import FullGraphError, PartitionOptionError
from etcoreml.partition.bounds import GivenBounds
from etcoreml.partition.buffers import claim_buffers, initial_values
from etcoreml.partition.composites import hurried
from etcoreml.partition.dialect import forget_pending_sizes, make_acceptable, refused_ops
from etcoreml.partition.doubt import is_doubtful
from etcoreml.partition.fixed_sizes import VaryingSizes
from etcoreml.partition.grouping import Partition, group
from etcoreml.partition.interface import offences, wide_constants
from etcoreml.partition.kernels import missing_kernels
from etcoreml.partition.newer_target import NewerTarget
from etcoreml.partition.node import op_name, origins, results
from etcoreml.partition.record import Outcome, method_under_way, record
from etcoreml.partition.report import DelegationReport
from etcoreml.partition.support import Setting, why_not
from etcoreml.partition.support.general import WIDE, stays_wide
from etcoreml.partition.without import Without

_LOGGER = logging.getLogger(__name__)
_SKIPPED = "the user asked to leave the op out (skip_ops_for_coreml_delegation)"
_OP_NAME = re.compile(r"[a-z_]\w*(\.\w+)*")


class CoreMLPartitioner(Partitioner):  # type: ignore[misc] # executorch is untyped
    """Choose the parts of a program that run as Core ML delegates.

    Args:
        skip_ops_for_coreml_delegation: Ops to leave outside, by the name the edge program shows,
            e.g. ``aten.mm.default``; case does not matter. What ExecuTorch makes of them when it
            takes them apart stays outside, too.
        compile_specs: Options, from ``CoreMLBackend.generate_compile_specs``.
        take_over_mutable_buffer: Whether mutable buffers become Core ML state. A buffer that
            cannot (iOS18, floating point and an initial value of zero are needed) stays an input
            and output of the delegate.
        lower_full_graph: Whether a program that does not go to Core ML as a whole is an error.
        take_over_constant_data: Whether parameters and constants go into the Core ML model.
            Otherwise they are inputs of the delegate.

    Attributes:
        report: The decision about every node of the programs partitioned so far.

    Raises:
        CompileSpecError: A compile spec is unknown or has an unknown value.
        CompilerError: A compiled model is asked for, and there is no compiler.
        PartitionOptionError: Options contradict each other, or a name cannot be an op's.
    """

    def __init__(
        self,
        *,
        skip_ops_for_coreml_delegation: list[str] | None = None,
        compile_specs: list[CompileSpec] | None = None,
        take_over_mutable_buffer: bool | None = True,
        lower_full_graph: bool = False,
        take_over_constant_data: bool = True,
    ) -> None:
        self.skip_ops_for_coreml_delegation = list(skip_ops_for_coreml_delegation or ())
        self.take_over_mutable_buffer = bool(take_over_mutable_buffer)
        self.lower_full_graph = lower_full_graph
        self.take_over_constant_data = take_over_constant_data
        self._options = decode_options(compile_specs or ())
        self.report = DelegationReport(
            options={
                "minimum_deployment_target": self._options.target.name,
                "compute_precision": self._options.compute_precision.value,
            }
        )
        self._check_options()
        # The list type tells our backend that the partitions are ours.
        specs = OwnedSpecs(compile_specs or ())
        report = self.report
        specs.tell_target = lambda version: report.add_model(version)
        self.delegation_spec = DelegationSpec(CoreMLBackend.__name__, specs)
        self._skipped = frozenset(map(str.lower, self.skip_ops_for_coreml_delegation))
        self._programs = 0
        self._warned: set[str] = set()
        self._not_zero: frozenset[str] = frozenset()
        self._bounds = GivenBounds()
        self._varying = VaryingSizes()
        # ExecuTorch asks four times about every program.
        self._kept: MutableMapping[ExportedProgram, list[torch._ops.OpOverload]] = (
            WeakKeyDictionary()
        )

    def _check_options(self) -> None:
        if self._options.model_type is ModelType.COMPILED_MODEL:
            compiler_command()
        for name in self.skip_ops_for_coreml_delegation:
            if not isinstance(name, str) or not _OP_NAME.fullmatch(name.lower()):
                what = "partitioner: skip_ops_for_coreml_delegation holds something else than an op"
                raise PartitionOptionError(
                    what, found=repr(name), expected='a name such as "aten.mm.default"'
                )
        contradictions = {
            "skip_ops_for_coreml_delegation": bool(self.skip_ops_for_coreml_delegation),
            "take_over_constant_data=False": not self.take_over_constant_data,
            "take_over_mutable_buffer=False": not self.take_over_mutable_buffer,
        }
        for option, is_set in contradictions.items():
            if self.lower_full_graph and is_set:
                what = f"partitioner: lower_full_graph=True contradicts {option}"
                raise PartitionOptionError(what, hint="Leave one of the two out.")
        if self._options.enumerated_shapes is not None and not self.lower_full_graph:
            what = "partitioner: enumerated shapes need lower_full_graph=True"
            raise PartitionOptionError(
                what, hint="The shapes between delegates would not be among the enumerated ones."
            )

    def transform_for_pre_decomposition(self, exported_program: ExportedProgram) -> ExportedProgram:
        """Return the same program, which takes less time to decompose."""
        forget_pending_sizes(exported_program)
        return hurried(exported_program)

    def ops_to_not_decompose(
        self, ep: ExportedProgram
    ) -> tuple[list[torch._ops.OpOverload], Callable[[Node], bool] | None]:
        """Return the ops of an ATen program that Core ML takes as they are.

        Args:
            ep: The program before decomposition, with its real buffers.

        Returns:
            The ops, and a filter for their nodes (None: every node). An op with a node that
            Core ML cannot take is decomposed, whose parts it may take.
        """
        self._not_zero |= initial_values(ep)
        if ep.dialect == "EDGE":
            return [], None  # asked whether every kept op was delegated: what was not can run
        if ep not in self._kept:
            # ExecuTorch asks when the program is functional and before it checks the ops.
            self._varying.remember(ep)
            make_acceptable(ep)
            self._bounds.remember(ep)
            self._kept[ep] = self._ops_to_keep(ep)
        kept, refused = self._kept[ep], refused_ops(ep)
        if not refused:
            return list(kept), None
        # With a filter, ExecuTorch lets the ops through that it has no decomposition for.
        kept = [op for op in kept if torch.Tag.core not in op.tags and op not in refused]
        return [*kept, *refused], _every_node

    def _ops_to_keep(self, program: ExportedProgram) -> list[torch._ops.OpOverload]:
        """Return the ops whose every node will be delegated as it is.

        Ops that Core ML cannot take and ExecuTorch decomposes are assumed to become ops that it
        can, so that only nodes that are certainly outside split the program here.
        """
        setting = self._setting(program)
        reasons = {node: self._why_not(node, setting) for node in program.graph.nodes}
        outside = {
            node: reason
            for node, reason in reasons.items()
            if reason is not None and not _is_decomposed(node)
        }
        self._partitions(program, outside, setting)
        kept: dict[torch._ops.OpOverload, bool] = {}
        for node, reason in reasons.items():
            if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
                fits = reason is None and node not in outside and not _is_view(node.target)
                fits &= is_taken_whole(node) and not _repeats(node)
                # What the user wants outside runs there as it is, if ExecuTorch can run it.
                fits |= reason == _SKIPPED and has_out_variant(node.target)
                kept[node.target] = kept.get(node.target, True) and fits
        return [op for op, fits in kept.items() if fits]

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        """Tag the nodes of an edge program that go to Core ML.

        Args:
            exported_program: The program in edge dialect; its nodes get ``delegation_tag``.

        Raises:
            BackendConflictError: ExecuTorch would hand the partitions to another class.
            FullGraphError: ``lower_full_graph`` is set and a node has to stay outside.
        """
        return self.partition_without(exported_program, lambda node: None)

    def partition_without(
        self, exported_program: ExportedProgram, why_left_out: Callable[[Node], str | None]
    ) -> PartitionResult:
        """Do as ``partition``, and leave nodes outside that have a reason to be.

        Args:
            exported_program: The program in edge dialect.
            why_left_out: Returns the reason of a node, or None.

        Raises:
            BackendConflictError, FullGraphError: As ``partition``.
        """
        claim(CoreMLBackend)
        self._bounds.restore(exported_program)
        for sentence in self._varying.fixed():
            _LOGGER.warning("%s", sentence)
        _warn_of_decomposed_workflow()
        _LOGGER.info("choosing among %d nodes", len(exported_program.graph.nodes))
        reasons, partitions = self._propose(exported_program, why_left_out)
        tags = {}
        for partition in partitions:
            tag = f"tag{partition.id}"
            tags[tag] = self.delegation_spec
            for node in partition.nodes:
                node.meta["delegation_tag"] = tag
        if self.take_over_constant_data:
            tag_constant_data(exported_program)
        buffers = claim_buffers(
            exported_program, self._options, self._not_zero, self.take_over_mutable_buffer
        )
        self._report(exported_program, reasons, buffers)
        return PartitionResult(tagged_exported_program=exported_program, partition_tags=tags)

    def has_left_out(self, culprit: Culprit) -> bool:
        """Whether a node that made a conversion fail is outside already: none is."""
        return False

    def without(self, culprit: Culprit | None) -> Without:
        """Return a partitioner that leaves a node outside which made a conversion fail."""
        self.forget_program()
        return Without(self, () if culprit is None else (culprit,))

    def forget_program(self) -> None:
        """Take the decisions about the last program out of the report: it is lowered again."""
        self._programs -= 1
        self.report.forget(self._programs)

    def _propose(
        self, program: ExportedProgram, why_left_out: Callable[[Node], str | None]
    ) -> tuple[dict[Node, str], list[Partition]]:
        """Return the reason of every node left out, and the partitions of the others."""
        setting = self._setting(program)
        reasons: dict[Node, str] = {}
        for node in program.graph.nodes:
            reason = why_left_out(node) or self._why_not(node, setting)
            if reason is not None:
                reasons[node] = reason
            if reason == WIDE and stays_wide(node):
                # The runtime would refuse it as the input of a delegate.
                setting = replace(setting, wide=setting.wide | {node.name})
        return reasons, self._partitions(program, reasons, setting)

    def _setting(self, program: ExportedProgram) -> Setting:
        """Return what the support rules may ask about a program."""
        constants = constant_names(program) if self.take_over_constant_data else frozenset()
        wide = wide_constants(program)
        return Setting(
            self._options.newest_target,
            constants,
            wide,
            self.lower_full_graph,
            lowest=self._options.deployment_target is None,
        )

    def _partitions(
        self, program: ExportedProgram, reasons: dict[Node, str], setting: Setting
    ) -> list[Partition]:
        """Group the nodes without a reason; nodes that fit no delegate get theirs."""
        while True:
            partitions = group(program.graph, outside=reasons)
            found = dict(offences(program, partitions, setting))
            if not found:
                return partitions
            reasons |= found

    def _why_not(self, node: Node, setting: Setting) -> str | None:
        if node.op == "get_attr":
            branches = any(
                isinstance(each.target, torch._ops.HigherOrderOperator) for each in node.users
            )
            return "" if branches else None
        if node.op != "call_function":
            return ""
        if self._is_skipped(node):
            return _SKIPPED
        reason = why_not(node, setting)
        if reason is None and is_doubtful(node):
            reason = why_not_convertible(node, self._options, setting.constants)
        return reason

    def _is_skipped(self, node: Node) -> bool:
        """Whether the user asked to leave a node out, or what it was decomposed from."""
        if not self._skipped:
            return False
        names = {op_name(node), str(node.target.__name__), *origins(node)}
        return not self._skipped.isdisjoint(map(str.lower, names))

    def _report(
        self, program: ExportedProgram, reasons: dict[Node, str], buffers: dict[Node, str | None]
    ) -> None:
        """Record the decisions, and refuse an incomplete graph where a full one was asked for."""
        newer = NewerTarget(self._options, self._setting(program))
        outcome = Outcome(program, reasons, buffers, self.take_over_constant_data, newer)
        summary, decisions = record(outcome, self._programs, method_under_way())
        self._programs += 1
        self.report.add_program(summary, decisions)
        left_out = [each for each in decisions if not each.delegated]
        if self.lower_full_graph and left_out:
            what = "partitioner: lower_full_graph=True, and Core ML cannot take the whole graph"
            raise FullGraphError(
                what,
                found="; ".join(f"{each.op} ({each.node}): {each.reason}" for each in left_out[:5])
                + (f"; and {len(left_out) - 5} more" if len(left_out) > 5 else ""),
                hint="Set lower_full_graph=False to run them outside, or rewrite the model.",
            )
        missing = missing_kernels(decisions)
        if missing is not None and missing not in self._warned:
            # No error: an app may link kernels of its own.
            self._warned.add(missing)
            _LOGGER.warning("%s", missing)


def _every_node(node: Node) -> bool:
    return True


def _is_view(op: torch._ops.OpOverload) -> bool:
    """Whether an op returns a view of its first argument; ExecuTorch replaces those itself."""
    arguments = op._schema.arguments
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and not alias.is_write


def _repeats(node: Node) -> bool:
    """Whether a result repeats its elements in memory, which ExecuTorch cannot return."""
    strides = (stride for each in results(node) for stride in each.stride())
    return any(isinstance(stride, int) and stride == 0 for stride in strides)


def _is_decomposed(node: Node) -> bool:
    """Whether ExecuTorch takes an op apart unless told otherwise."""
    target = node.target
    return (
        isinstance(target, torch._ops.OpOverload)
        and target.namespace == "aten"
        and torch.Tag.core not in target.tags
    )


def _warn_of_decomposed_workflow() -> None:
    """Log when ops were decomposed before the partitioner could ask for them."""
    # By name: executorch wraps both functions in one.
    under_way = {
        frame.f_code.co_name
        for frame in frames()
        if frame.f_globals.get("__name__") == "executorch.exir.program._program"
    }
    if "to_backend" in under_way and "to_edge_transform_and_lower" not in under_way:
        _LOGGER.warning(
            "DEPRECATION WARNING: to_edge() + to_backend() decomposes ops that Core ML has, such "
            "as attention, before CoreMLPartitioner sees them; to_edge_transform_and_lower() "
            "keeps them."
        )
