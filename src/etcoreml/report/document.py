"""The report as data: what ``etcoreml report --json`` writes and the page draws.

Times are in milliseconds, sizes in bytes, ratios in dB; a number that is not known is None. Paths
of source files are shortened, so that a report can be shown to others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "etcoreml.report"
SCHEMA_VERSION = 1
"""Counted up when a field of the document changes its meaning or goes."""


@dataclass(frozen=True)
class Node:
    """One node of the graph.

    Attributes:
        id: Unique in the graph.
        op: ATen op, MIL op or ExecuTorch operator; ``input`` for what enters the model.
        path: Modules it is in, the outermost first; of a .pte, its delegate.
        kind: ``core_ml``, ``outside``, ``bookkeeping`` (sizes only), ``other`` (another backend's
            delegate) or ``input``.
        inputs: Nodes whose values it reads.
        value: Its first value, as dtype and shape.
        delegate: Number of the Core ML delegate; None outside.
        reason: Why it is outside; None where it is not, or where a file does not say.
        advice: What to change, where something is known to help.
        source: ``file:line``; empty if unknown.
        flops: Floating-point operations, an estimate.
        nbytes: Bytes it reads and writes.
        operation: Index in ``Time.operations`` of what computes it; None if that is not known.
        leads: Whether that operation's time is shown with this node, and not with another that is
            computed in the same kernel.
    """

    id: str
    op: str
    path: tuple[str, ...]
    kind: str
    inputs: tuple[str, ...] = ()
    value: str = ""
    delegate: int | None = None
    reason: str | None = None
    advice: str | None = None
    source: str = ""
    flops: int | None = None
    nbytes: int | None = None
    operation: int | None = None
    leads: bool = False


@dataclass(frozen=True)
class Graph:
    """What the model computes, and what of it is in Core ML.

    Attributes:
        level: What a node is: ``ATen`` before lowering, ``MIL`` in a file.
        nodes: In order of execution.
        total: Number of nodes without inputs.
        inside: Those in Core ML.
        delegates: Number of Core ML delegates; None for a Core ML model, which has none.
        flops_inside_share: Of the floating-point operations, from 0 to 1; None if unknown.
    """

    level: str
    nodes: tuple[Node, ...]
    total: int
    inside: int
    delegates: int | None
    flops_inside_share: float | None


@dataclass(frozen=True)
class Operation:
    """One operation that ran, with what is fused with it.

    Attributes:
        name: Debug symbol ``<output>:<op>``, or the runtime's operator.
        type: MIL op, or ``ExecuTorch``.
        inside: Whether it is in a Core ML delegate.
        path: Modules it is in, the outermost first.
        median_ms, min_ms, max_ms: Of the measured runs.
        share: Of the median run, from 0 to 1.
        flops, nbytes, gflops_per_s, roofline_share: As of ``etcoreml profile``.
        snr_db: Of its result beside eager in fp32; None if unknown or beyond numbers.
        kernel: That took the most of the time.
        fused_with: What is computed with it.
        aten_ops, source: Where it comes from.
    """

    name: str
    type: str
    inside: bool
    path: tuple[str, ...]
    median_ms: float
    min_ms: float
    max_ms: float
    share: float
    flops: int | None
    nbytes: int | None
    gflops_per_s: float | None
    roofline_share: float | None
    snr_db: float | None
    kernel: str
    fused_with: tuple[str, ...]
    aten_ops: tuple[str, ...]
    source: tuple[str, ...]


@dataclass(frozen=True)
class Time:
    """Where the time goes.

    Attributes:
        run_ms, min_ms, max_ms: Median, shortest and longest of the measured runs.
        iterations: How many those are.
        load_s: Seconds to compile the model here.
        unattributed_ms: Within delegates, but of no operation: the median.
        other_ms: What is left of the run: calls, the runtime, measuring.
        gflops_limit, gb_per_s_limit: What this machine can do, measured.
        inputs: Where the inputs come from, for people.
        operations: In order of execution.
    """

    run_ms: float
    min_ms: float
    max_ms: float
    iterations: int
    load_s: float
    unattributed_ms: float
    other_ms: float
    gflops_limit: float
    gb_per_s_limit: float
    inputs: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Compared:
    """One value beside eager's in fp32.

    Attributes:
        name: Operation that makes it, or the number of an output.
        snr_db, psnr_db: Ratios to the error; None where there is no error, or nothing but error.
        exact: Whether there is no error.
        cosine: Of the angle between the two.
        max_abs: The largest difference; None if it has no bound.
        not_finite, vanished: Elements lost to overflow and to underflow.
        size: Number of elements.
        nodes, source: Where it comes from.
    """

    name: str
    snr_db: float | None
    psnr_db: float | None
    exact: bool
    cosine: float
    max_abs: float | None
    not_finite: int
    vanished: int
    size: int
    nodes: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


@dataclass(frozen=True)
class Precision:
    """Where the error comes from.

    Attributes:
        numerics: How it was computed here: ``faithful`` rounds as a device would; None if Apple's
            delegate did.
        outputs: Of the model.
        operations: In order of the graph.
        first_jump: The operation at which the error jumps, if one does.
    """

    numerics: str | None
    outputs: tuple[Compared, ...]
    operations: tuple[Compared, ...]
    first_jump: str | None


@dataclass(frozen=True)
class PlanRow:
    """Where one operation may run on an Apple device, an estimate.

    Attributes:
        operation: Debug symbol ``<output>:<op>``.
        preferred: The compute unit it would probably run on, ``NE`` is the Neural Engine; several
            with `` or `` between them if it depends on the chip, or is not known.
        supported: Those that it could run on, as far as is known.
        estimated_work_share: Ours, from 0 to 1; never Apple's cost. None if a size varies.
        confidence: In the verdict: a letter of ``Plan.confidence``.
        reason: What the verdict rests on.
        advice: What to change, where something is known to help; else empty.
        leaves: Whether it leaves the Neural Engine, or may.
    """

    operation: str
    preferred: str
    supported: tuple[str, ...]
    estimated_work_share: float | None
    confidence: str
    reason: str
    advice: str
    leaves: bool


@dataclass(frozen=True)
class Plan:
    """Where Core ML may run the operations.

    Attributes:
        origin: ``estimate``: by our rules. Core ML's own plan is not in reports.
        compute_unit: Units that Core ML may use.
        confidence: What the letters in the rows mean.
        operations: Those that have a device, in order of the delegates and of execution.
    """

    origin: str
    compute_unit: str
    confidence: dict[str, str]
    operations: tuple[PlanRow, ...]


@dataclass(frozen=True)
class Weight:
    """One weight, as it is stored.

    Attributes:
        name: In the MIL program.
        dtype: MIL's name of it.
        shape: Sizes.
        nbytes: As it is stored.
        used_by: Debug symbol of the operation that reads it; empty if none does.
        role: What that operation calls it, e.g. ``weight`` or ``bias``.
        path: Modules of that operation, the outermost first.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    used_by: str = ""
    role: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeightTotal:
    """The weights of one dtype."""

    dtype: str
    tensors: int
    elements: int
    nbytes: int


@dataclass(frozen=True)
class Weights:
    """What the model weighs.

    Attributes:
        nbytes: All weights of the Core ML models, as they are stored.
        dtypes: By dtype, the largest first.
        tensors: Each of them, the largest first.
    """

    nbytes: int
    dtypes: tuple[WeightTotal, ...]
    tensors: tuple[Weight, ...]


@dataclass(frozen=True)
class Report:
    """All that is known.

    Attributes:
        model: What was reported on, without folders.
        kind: ``lowered`` now, a ``program`` (.pte) or ``core_ml``.
        function: The method or function.
        created: UTC, ISO 8601.
        nbytes: Size of the .pte or of the Core ML model.
        ran_on: What ran it, for people.
        options: What it was lowered with.
        environment: Versions and the machine, by name.
        graph, time, weights: As of their classes.
        precision: None if it was not measured.
        precision_missing: Why not; empty if it was.
        plan: The estimate for Apple devices; None if nothing is in Core ML.
    """

    model: str
    kind: str
    function: str
    created: str
    nbytes: int
    ran_on: str
    options: dict[str, str]
    environment: dict[str, str]
    graph: Graph
    time: Time
    weights: Weights
    precision: Precision | None
    precision_missing: str
    plan: Plan | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the document, of plain values that JSON has."""
        return {"schema": SCHEMA, "version": SCHEMA_VERSION, **asdict(self)}
