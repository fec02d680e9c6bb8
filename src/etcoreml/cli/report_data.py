"""``etcoreml report``: measures a model, and joins what is known of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcoreml.choices import ComputeUnit, Numerics
from etcoreml.cli import render
from etcoreml.cli.inputs import unnamed_files
from etcoreml.errors import EtCoreMLError

if TYPE_CHECKING:
    from etcoreml.mil.program import Function, Signature
    from etcoreml.report.document import Graph, Precision, Report, Time
    from etcoreml.runtime.pte import PteProgram
    from etcoreml.trace.profile import Profile


@dataclass(frozen=True)
class Runs:
    """What is run, and how often.

    Attributes:
        files: Name, if it was given, and file of inputs.
        iterations: Measured runs.
        warmup: Runs before those.
        seed: Of random inputs.
        planned: Units that Core ML may use in the estimated plan.
    """

    files: Sequence[tuple[str | None, Path]]
    iterations: int
    warmup: int
    seed: int
    planned: ComputeUnit

    @property
    def inputs(self) -> str:
        """Where the inputs come from, if the model has none of its own."""
        return "the files given" if self.files else "random tensors"


def lowered_report(model: str, runs: Runs, *, numerics: Numerics | None) -> Report:
    """Lower a model, run it, compare it with eager, and report.

    Args:
        model: What ``etcoreml export`` takes.
        runs: Its example inputs are taken where no files are given.
        numerics: Of the comparison; None for what `compare_program` takes then.

    Raises:
        UsageError, ExportError: The model is none, or cannot be exported.
        EtCoreMLError: It cannot be lowered, loaded or run.
    """
    unnamed_files(runs.files)
    with tempfile.TemporaryDirectory(prefix="etcoreml-report-") as name:
        from etcoreml.cli.recorded import recorded
        from etcoreml.runtime.embedded import embedded_functions
        from etcoreml.runtime.pte import read_pte

        lowered = recorded(model, Path(name))
        profile, precision, missing, record, inputs = _run(
            lowered.pte, runs, "forward", lowered.etrecord, numerics
        )
        program = read_pte(lowered.pte)
        from etcoreml.report import graph, times

        nodes = graph.lowered_nodes(lowered.report, _parts(record))
        symbols = times.nodes_by_handle(_symbols(program), _handles(record))
        options = {"compute_precision": "float16", **lowered.report.options}
        delegates = sum(len(each.delegates) for each in lowered.report.programs)
        return _report(
            name=Path(model).name if model.endswith(".pt2") else model,
            kind="lowered",
            function="forward",
            nbytes=program.nbytes,
            options=options,
            profile=profile,
            inputs=inputs,
            graph=graph.graph_of("ATen", nodes, delegates),
            symbols=symbols,
            functions=[
                (each.function, each.signature) for _, _, each in embedded_functions(program)
            ],
            planned=runs.planned,
            precision=precision,
            missing=missing,
        )


def program_report(
    path: Path, runs: Runs, *, method: str, etrecord: Path | None, numerics: Numerics | None
) -> Report:
    """Run a .pte, compare it with eager if its ETRecord is there, and report.

    Args:
        path: The .pte.
        runs: The inputs of the ETRecord are taken where no files are given.
        method: Its name.
        etrecord: Of the .pte.
        numerics: Of the comparison; None for what `compare_program` takes then.

    Raises:
        UsageError: There is no such method, or an input cannot be read.
        EtCoreMLError: It cannot be loaded or run.
    """
    profile, precision, missing, _, inputs = _run(path, runs, method, etrecord, numerics)
    from etcoreml.report import graph, times
    from etcoreml.runtime.embedded import embedded_functions
    from etcoreml.runtime.pte import read_pte

    program = read_pte(path)
    chosen = next(each for each in program.methods if each.name == method)
    functions = {
        i: (each.function, each.signature)
        for found, i, each in embedded_functions(program)
        if found is chosen
    }
    nodes = graph.method_nodes(chosen, {i: each for i, (each, _) in functions.items()})
    specs = [delegate.compile_specs for delegate in chosen.delegates if delegate.is_core_ml]
    return _report(
        name=path.name,
        kind="program",
        function=method,
        nbytes=program.nbytes,
        options={} if not specs else _spec_texts(specs[0]),
        profile=profile,
        inputs=inputs,
        graph=graph.graph_of("MIL", nodes, len(functions)),
        symbols=times.nodes_by_name(nodes),
        functions=list(functions.values()),
        planned=runs.planned,
        precision=precision,
        missing=missing,
    )


def core_ml_report(
    path: Path, runs: Runs, *, function: str | None, numerics: Numerics, threads: int | None
) -> Report:
    """Run a function of a Core ML model, and report.

    Args:
        path: The model.
        runs: What is run.
        function: Its name; the model's default if None.
        numerics: As of `etcoreml.MLModel`.
        threads: As of `etcoreml.MLModel`.

    Raises:
        UsageError: The model is a pipeline, or an input is unknown or missing.
        EtCoreMLError: It cannot be read, compiled or run.
    """
    from etcoreml.cli.profile_model import profile_model
    from etcoreml.mil import MilProgram, open_model
    from etcoreml.report import graph, times

    profile = profile_model(
        path,
        runs.files,
        function=function,
        compute_unit="all",
        numerics=numerics,
        threads=threads,
        iterations=runs.iterations,
        warmup=runs.warmup,
        seed=runs.seed,
    )
    model = open_model(path)
    assert isinstance(model, MilProgram)  # `profile_model` refuses pipelines
    chosen = model.function(function)
    nodes = graph.function_nodes(chosen)
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return _report(
        name=path.name,
        kind="core_ml",
        function=chosen.name,
        nbytes=sum(each.stat().st_size for each in files),
        options={"specification": str(model.spec_version), "opset": chosen.opset},
        profile=profile,
        inputs=runs.inputs,
        graph=graph.graph_of("MIL", nodes, None),
        symbols=times.nodes_by_name(nodes),
        functions=[(chosen, model.signatures.get(chosen.name))],
        planned=runs.planned,
        precision=None,
        missing="a Core ML model has no eager model to be compared with",
    )


def _run(
    pte: Path, runs: Runs, method: str, etrecord: Path | None, numerics: Numerics | None
) -> tuple[Profile, Precision | None, str, Any, str]:
    """Return the profile, the comparison or why there is none, the record, and what went in."""
    from etcoreml.cli.profile_program import profile_program

    record, values = None, None
    if etrecord is not None:
        with render.stage("Loading torch and executorch"):
            record = _parsed_record(etrecord)
        values = record._representative_inputs or None
    profile = profile_program(
        str(pte),
        runs.files,
        method=method,
        etrecord=etrecord,
        compute_unit=None,
        values=None if runs.files else values,
        iterations=runs.iterations,
        warmup=runs.warmup,
        seed=runs.seed,
    )
    inputs = runs.inputs if runs.files or values is None else "the model's example inputs"
    if etrecord is None:
        return profile, None, "comparing with eager needs the ETRecord (--etrecord)", None, inputs
    precision, missing = _precision(pte, runs, etrecord, numerics)
    return profile, precision, missing, record, inputs


def _precision(
    pte: Path, runs: Runs, etrecord: Path, numerics: Numerics | None
) -> tuple[Precision | None, str]:
    """Compare with eager; a model that cannot be compared still has a report."""
    from etcoreml.cli.compare_program import compare_program
    from etcoreml.report.precision import precision_of
    from etcoreml.trace.comparison import first_jump

    try:
        found = compare_program(
            str(pte),
            unnamed_files(runs.files),
            etrecord=etrecord,
            precision="float16",
            numerics=numerics,
        )
    except EtCoreMLError as error:
        render.print_note(f"precision is not in the report: {error.message}")
        return None, error.message
    jump = first_jump(found.operations)
    name = None if jump is None else jump.name
    return precision_of(found.operations, found.outputs, found.numerics, name), ""


def _report(
    *,
    name: str,
    kind: str,
    function: str,
    nbytes: int,
    options: Mapping[str, str],
    profile: Profile,
    inputs: str,
    graph: Graph,
    symbols: Mapping[str, Sequence[str]],
    functions: Sequence[tuple[Function, Signature | None]],
    planned: ComputeUnit,
    precision: Precision | None,
    missing: str,
) -> Report:
    from dataclasses import replace

    from etcoreml.report import times, weights
    from etcoreml.report.document import Report
    from etcoreml.report.environment import environment
    from etcoreml.report.plan import plan_of
    from etcoreml.report.precision import snr_by_symbol
    from etcoreml.trace import roofline

    with render.stage("Measuring what this machine can do"):
        limits = roofline.measure()
    time: Time = times.time_of(profile, limits, snr_by_symbol(precision), inputs)
    nodes = times.joined(graph.nodes, time, symbols)
    if graph.level == "MIL":
        nodes = times.in_modules(nodes, time)
    time = times.placed(time, nodes)
    return Report(
        model=name,
        kind=kind,
        function=function,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        nbytes=nbytes,
        ran_on=profile.details["ran_on"],
        options=dict(options),
        environment=environment(),
        graph=replace(graph, nodes=tuple(nodes)),
        time=time,
        weights=weights.weights_of((each for each, _ in functions), time),
        precision=precision,
        precision_missing=missing,
        plan=plan_of(functions, planned),
    )


def _parsed_record(path: Path) -> Any:
    from etcoreml.imports import quiet_imports

    with quiet_imports():
        from executorch.devtools.etrecord import parse_etrecord

    from etcoreml.errors import UsageError

    try:
        return parse_etrecord(str(path))
    except Exception as error:  # executorch raises whatever a damaged file makes it meet
        raise UsageError(f"executorch cannot read '{path}'", found=error) from error


def _symbols(program: PteProgram) -> dict[str, tuple[int, ...]]:
    """Return what the delegates' debug information says."""
    from etcoreml.runtime.metadata import parse_debug_symbols
    from etcoreml.runtime.payload import open_payload

    found: dict[str, tuple[int, ...]] = {}
    for method in program.methods:
        for delegate in method.delegates:
            if delegate.is_core_ml:
                directory = open_payload(delegate.payload, program.named_data).directory
                if directory.find("debug_info.json") is not None:
                    found.update(parse_debug_symbols(directory.read("debug_info.json")))
    return found


def _handles(record: Any) -> dict[str, frozenset[int]]:
    """Return the debug handles of the nodes that were lowered, by their names."""
    found = {}
    for node in record.edge_dialect_program.graph_module.graph.nodes:
        handle = node.meta.get("debug_handle")
        if node.op == "call_function" and handle:
            found[node.name] = frozenset([handle] if isinstance(handle, int) else handle)
    return found


def _parts(record: Any) -> dict[str, str]:
    """Return, for each node that takes one of several results of another, that other."""
    return {
        node.name: node.args[0].name
        for node in record.edge_dialect_program.graph_module.graph.nodes
        if node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"
    }


def _spec_texts(specs: Mapping[str, bytes]) -> dict[str, str]:
    return {key: value.decode("utf-8", "replace") for key, value in specs.items()}
