"""``etcoreml plan``: the functions that MODEL brings to Core ML."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from etcoreml.blob import Directory
from etcoreml.choices import ComputeUnit
from etcoreml.cli import render
from etcoreml.cli.model_paths import CORE_ML
from etcoreml.errors import PlanError, UsageError, naming
from etcoreml.imports import quiet_imports
from etcoreml.mil import Function, MilProgram, Pipeline, Signature, open_model
from etcoreml.placement.core_ml import Plans, core_ml_plan


@dataclass(frozen=True)
class Part:
    """A function that Core ML runs.

    Attributes:
        label: What it is of MODEL.
        function: It.
        signature: Its described interface, if the model has one.
        model: Where its model is: on disk, or in a blob; None in a pipeline.
        compute_unit: Where a delegate of a .pte was exported to run; None for a Core ML model.
    """

    label: str
    function: Function
    signature: Signature | None
    model: Path | Directory | None
    compute_unit: str | None = None


@dataclass
class Whole:
    """What Core ML runs of MODEL, and what it does not.

    Attributes:
        parts: The functions.
        outside: Of each method of a .pte, the nodes that ExecuTorch's own kernels run.
        remarks: What else is to be said.
    """

    parts: list[Part] = field(default_factory=list)
    outside: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def parts_of(model: str, *, method: str | None, function: str | None) -> Whole:
    """Open a model, lowering it first if it is none of Core ML's.

    Args:
        model: As on the command line.
        method: The method of a .pte; None for all.
        function: The function of a Core ML model; None for all.

    Raises:
        UsageError: There is no such method, or nothing for Core ML.
        EtCoreMLError: It cannot be read or lowered.
    """
    path = Path(model)
    if path.suffix in CORE_ML:
        with naming(path), render.stage(f"Reading {path.name}"):
            return _core_ml_parts(path, function)
    if path.suffix == ".pte":
        return _pte_parts(path, method)
    from etcoreml.cli.recorded import lowered_with_record

    with tempfile.TemporaryDirectory(prefix="etcoreml-plan-") as folder:
        pte, _ = lowered_with_record(model, Path(folder))
        return _pte_parts(pte, method)


def _core_ml_parts(path: Path, wanted: str | None) -> Whole:
    opened = open_model(path)
    if isinstance(opened, MilProgram):
        names = list(opened.functions) if wanted is None else [opened.function(wanted).name]
        return Whole(
            [
                Part(f"function {name}", opened.functions[name], opened.signatures.get(name), path)
                for name in names
            ]
        )
    if wanted is not None:
        raise UsageError(f"--function does not apply to '{path}', a pipeline")
    return _pipeline_parts(opened)


def _pipeline_parts(pipeline: Pipeline) -> Whole:
    whole = Whole()
    for stage in pipeline.stages:
        if isinstance(stage.model, MilProgram):
            whole.parts += [
                Part(f"stage {stage.name}, function {name}", each, signature, None)
                for name, each in stage.model.functions.items()
                for signature in (stage.model.signatures.get(name),)
            ]
        else:
            whole.remarks.append(f"stage {stage.name} suppresses boxes: it has no operations")
    return whole


def _pte_parts(path: Path, wanted: str | None) -> Whole:
    with render.stage("Loading executorch"), quiet_imports():
        import executorch.exir._serialize._program  # noqa: F401

        from etcoreml.runtime.embedded import embedded_function
        from etcoreml.runtime.pte import read_pte
    whole = Whole()
    with naming(path), render.stage(f"Reading {path.name}"):
        program = read_pte(path)
        names = [each.name for each in program.methods]
        if wanted is not None and wanted not in names:
            raise UsageError(
                f"'{path.name}' has no method '{wanted}'", expected=f"one of {', '.join(names)}"
            )
        for method in program.methods:
            if wanted not in (None, method.name):
                continue
            whole.outside[method.name] = sum(method.operators.values())
            for i, delegate in enumerate(method.delegates):
                label = f"method {method.name}, delegate {i}"
                if not delegate.is_core_ml:
                    whole.remarks.append(f"{label} is {delegate.backend_id}'s, not Core ML's")
                    continue
                found = embedded_function(delegate, program)
                if found is None:
                    whole.remarks.append(f"{label} holds no model")
                    continue
                said = delegate.compile_specs.get("compute_units", b"all")
                unit = said.decode("utf-8", "replace")
                whole.parts.append(
                    Part(label, found.function, found.signature, found.directory, unit)
                )
    return whole


def exported_unit(whole: Whole) -> ComputeUnit:
    """Return the compute unit that a .pte was exported for; ``all`` if nothing says so.

    Raises:
        UsageError: Its delegates were exported for several, or for one that is not known.
    """
    units = {part.compute_unit for part in whole.parts if part.compute_unit is not None}
    for unit in get_args(ComputeUnit):
        if units <= {unit}:
            return cast(ComputeUnit, unit)
    raise UsageError(
        "the delegates were exported for no one compute unit",
        found=", ".join(sorted(units)),
        expected=f"one of {', '.join(get_args(ComputeUnit))}",
        hint="Say with --compute-unit which one to plan for.",
    )


def core_ml_plans(whole: Whole, compute_unit: ComputeUnit) -> list[Plans]:
    """Return Core ML's own plan of the model of each part.

    Raises:
        PlanError: Core ML has none.
    """
    ask = _asker(compute_unit)
    return [ask(part.model) for part in whole.parts]


def _asker(compute_unit: ComputeUnit) -> Callable[[Path | Directory | None], Plans]:
    """Return a function that asks once for each model, several of whose functions may be asked."""
    known: list[tuple[Path | Directory, Plans]] = []

    def ask(model: Path | Directory | None) -> Plans:
        if model is None:
            what = "plan: Core ML's plan of a pipeline is not read here"
            raise PlanError(what, hint="Plan its models one by one, or take --estimated.")
        for each, plans in known:
            if each is model:
                return plans
        known.append((model, _asked(model, compute_unit)))
        return known[-1][1]

    return ask


def _asked(model: Path | Directory, compute_unit: ComputeUnit) -> Plans:
    if isinstance(model, Path):
        return core_ml_plan(model, compute_unit)
    with tempfile.TemporaryDirectory(prefix="etcoreml-plan-") as folder:
        path = Path(folder, model.name)
        model.extract(path)
        return core_ml_plan(path, compute_unit)


def outside_text(outside: dict[str, int]) -> Sequence[str]:
    """Return a line for each method of a .pte that has nodes outside Core ML."""
    return [
        f"{count} {'node' if count == 1 else 'nodes'} of {name}, which ExecuTorch's own kernels "
        "run on the CPU"
        for name, count in outside.items()
        if count
    ]
