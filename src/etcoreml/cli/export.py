"""``etcoreml export``: a model in, a .pte out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from etcoreml.choices import ChosenPrecision, ComputeUnit
from etcoreml.cli import render
from etcoreml.cli.export_findings import Findings, check_kernels
from etcoreml.cli.export_precision import DEFAULT_MIN_SNR, calibration_files, choose_nodes
from etcoreml.cli.model_source import check_model, exported_program
from etcoreml.cli.options import Json, LoweredUnit, Verbose
from etcoreml.cli.outputs import check_directory, check_writable
from etcoreml.cli.voices import libraries, steps
from etcoreml.errors import UsageError
from etcoreml.targets import NAMES as TARGET_NAMES

ModelType = Literal["model", "compiled_model"]


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A .pt2 file, package.module:callable returning (module, example_inputs), or a "
            "zoo name: efficientnet_lite0, mv2, mv3, resnet18, resnet50, vit.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The .pte to write.", show_default="MODEL.pte"),
    ] = None,
    compute_unit: LoweredUnit = "all",
    deployment_target: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Oldest system that must run it, such as iOS17 or macOS14.",
            show_default="the lowest that has its ops",
        ),
    ] = None,
    precision: Annotated[
        ChosenPrecision,
        typer.Option(
            "--precision",
            "--compute-precision",
            help="Compute precision; auto: float16, with as few ops in float32 as --min-snr takes.",
        ),
    ] = "float16",
    min_snr: Annotated[
        float | None,
        typer.Option(
            help="Least signal-to-noise ratio of each output with --precision auto, in dB.",
            show_default=f"{DEFAULT_MIN_SNR:g}",
        ),
    ] = None,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[,FILE]",
            help="Inputs of one run for --precision auto, in order: .npy, .pt, .png or .jpg. "
            "Repeatable.",
            show_default="the model's example inputs",
        ),
    ] = None,
    model_type: Annotated[
        ModelType,
        typer.Option(help="What the .pte stores; compiled_model needs Xcode or ETCOREML_COMPILER."),
    ] = "model",
    skip_op: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OP", help="Keep an op out of Core ML, e.g. aten.mm.default. Repeatable."
        ),
    ] = None,
    take_over_mutable_buffer: Annotated[
        bool, typer.Option(help="Keep mutable buffers as Core ML state (iOS18).")
    ] = True,
    take_over_constant_data: Annotated[
        bool, typer.Option(help="Put weights into the Core ML model.")
    ] = True,
    lower_full_graph: Annotated[
        bool, typer.Option(help="Fail unless every op can be delegated.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what became of every node, and why: .json, or .txt for people.",
            show_default=False,
        ),
    ] = None,
    etrecord: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write an ETRecord, which leads from events to nodes and source lines.",
            show_default="none",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what stayed outside, why, and what to change.")
    ] = False,
    allow_missing_kernels: Annotated[
        bool,
        typer.Option(
            "--allow-missing-kernels",
            help="Write the .pte even if ExecuTorch has no kernel for an op outside of Core ML.",
        ),
    ] = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Lower MODEL to Core ML and write a .pte."""
    output = output or Path(f"{Path(model.partition(':')[2] or model).stem}.pte")
    if deployment_target is not None and deployment_target not in TARGET_NAMES:
        raise UsageError(
            f"unknown --deployment-target '{deployment_target}'", expected=", ".join(TARGET_NAMES)
        )
    check_writable(output, ".pte")
    runs = calibration_files(precision, calibration or (), min_snr)
    if report is not None:
        check_writable(report, ".json", ".txt")
    if etrecord is not None:
        check_directory(etrecord)
    check_model(model)
    timings: dict[str, float] = {}
    with libraries(verbose):
        with render.stage("Loading torch, executorch and coremltools", timings, "import"):
            from etcoreml.cli.lowering import lower, serialised, write_record
            from etcoreml.partition import CoreMLPartitioner

            compile_specs = _compile_specs(compute_unit, deployment_target, precision, model_type)
            options: dict[str, Any] = {
                "skip_ops_for_coreml_delegation": skip_op or None,
                "take_over_mutable_buffer": take_over_mutable_buffer,
                "take_over_constant_data": take_over_constant_data,
                "lower_full_graph": lower_full_graph,
            }
            CoreMLPartitioner(compile_specs=compile_specs, **options)  # refuses them before work
        with render.stage(f"Exporting {model}", timings, "export"):
            program = exported_program(model)
        mixed = None
        if precision == "auto":
            with render.stage("Choosing what is computed in float32", timings, "precision") as say:
                ratio = DEFAULT_MIN_SNR if min_snr is None else min_snr
                mixed = choose_nodes(program, runs, ratio, compile_specs, say, **options)
            compile_specs.append(mixed.compile_spec())
        partitioner = CoreMLPartitioner(compile_specs=compile_specs, **options)
        findings = Findings(model, partitioner.report, report, explain, json, mixed)
        with findings.shown_on_failure():
            with (
                render.stage("Lowering to Core ML", timings, "lower") as say,
                steps(say, printed=verbose),
            ):
                lowered = lower(model, program, partitioner, records=etrecord is not None)
                _check_skipped(skip_op or [], program, partitioner.report)
                if not allow_missing_kernels:
                    check_kernels(model, partitioner.report)
            with render.stage(f"Writing {output}", timings, "write"):
                write, record = serialised(model, lowered)
                findings.write_with(output, write)
                if etrecord is not None:
                    write_record(record, program, etrecord)
    findings.print(output, timings)


def _compile_specs(
    compute_unit: ComputeUnit,
    target: str | None,
    precision: ChosenPrecision,
    model_type: ModelType,
) -> Any:
    from etcoreml.compiler import CoreMLBackend
    from etcoreml.mil.ct import coremltools

    ct = coremltools()
    return CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit[compute_unit.upper()],
        minimum_deployment_target=None if target is None else ct.target[target],
        compute_precision=ct.precision("float16" if precision == "auto" else precision),
        model_type=CoreMLBackend.MODEL_TYPE(model_type),
    )


def _check_skipped(skipped: list[str], program: Any, report: Any) -> None:
    """Refuse a ``--skip-op`` that names nothing: a typing error would go unnoticed."""
    from etcoreml.partition.node import op_name

    lowered = {each.op.lower() for each in report}
    exported = {op_name(node).lower() for node in program.graph.nodes if node.op == "call_function"}
    names = {name.lower() for name in skipped}
    unknown = names - lowered - exported
    if unknown:
        raise UsageError(
            "--skip-op names no op of the model",
            found=", ".join(sorted(unknown)),
            expected=f"any of {', '.join(sorted(lowered))}",
        )
    for name in sorted(names - lowered):
        render.print_note(
            f"ExecuTorch took {name} apart, and Core ML gets its parts unless --skip-op names them"
        )
