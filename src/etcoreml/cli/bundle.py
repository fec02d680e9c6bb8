"""``etcoreml bundle``: test cases into a .bpte, and the verdict on those of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etcoreml.atomic import write_atomic
from etcoreml.choices import Numerics
from etcoreml.cli import render
from etcoreml.cli.options import Json
from etcoreml.cli.outputs import check_writable
from etcoreml.errors import CompareError, UsageError

if TYPE_CHECKING:
    from etcoreml.deploy.bundled import Case, Verdict


def bundle(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .pte to bundle with test cases, or a .bpte whose cases are to be checked.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="MODEL.bpte", help="The .bpte to write.", show_default=False
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="The method to call.", show_default="forward")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="An input: .npy, .pt, .png or .jpg, in order; those of the next case follow. "
            "Repeatable.",
            show_default="random tensors",
        ),
    ] = None,
    expected: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="An output to expect, e.g. eager's: .npy or .pt, in order, case by case. "
            "Repeatable.",
            show_default="what the program computes here",
        ),
    ] = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Cases with random inputs.", show_default="1")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the first of those.", show_default="0")
    ] = None,
    numerics: Annotated[
        Numerics | None,
        typer.Option(help="How the program is computed here.", show_default="fast"),
    ] = None,
    rtol: Annotated[float, typer.Option(min=0, help="Relative tolerance of the check.")] = 1e-2,
    atol: Annotated[float, typer.Option(min=0, help="Absolute tolerance of the check.")] = 1e-2,
    json: Json = False,
) -> None:
    """Put test cases and a program into one file, ExecuTorch's bundled program (.bpte).

    Then, or at once for a .bpte, ExecuTorch's own tools run each case here and compare; exit code 3
    if one fails. On a device, C++ reads a .bpte; Swift and Objective-C do not.
    """
    options = {
        "--output": output,
        "--method": method,
        "--input": inputs,
        "--expected": expected,
        "--cases": cases,
        "--seed": seed,
    }
    _check_options(model, options)
    files = _files(inputs, expected, cases, seed)
    if output is not None:
        check_writable(output, ".bpte")
    with render.stage("Loading torch and executorch"):
        import etcoreml.deploy.bundled as bundled
        from etcoreml.cli.run_program import start_threads

        start_threads()
    if output is None:
        data, source = model.read_bytes(), model
    else:
        found = _cases(model, method or "forward", *files, cases or 1, seed or 0, numerics)
        data, source = bundled.write_bundle(model, found), output
        write_atomic(output, lambda file: file.write(data))
    with render.stage("Checking the cases with ExecuTorch's tools"):
        verdicts = bundled.verify_bundle(
            data, f"'{source}'", numerics=numerics, rtol=rtol, atol=atol
        )
    document = _document(source, len(data), numerics, rtol, atol, verdicts)
    if json:
        render.print_json(document)
    else:
        _print(document)
    if not document["passed"]:
        raise typer.Exit(CompareError.exit_code)


def _check_options(model: Path, options: Mapping[str, object]) -> None:
    if model.suffix not in (".pte", ".bpte"):
        raise UsageError(
            f"cannot bundle '{model}'",
            found=model.suffix or "no suffix",
            expected="a .pte, or a .bpte to check",
        )
    if not model.is_file():
        raise UsageError(f"there is no file '{model}'")
    if model.suffix == ".pte":
        if options["--output"] is None:
            raise UsageError("where to write the .bpte is not said", hint="-o MODEL.bpte")
        return
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} does not apply to a .bpte, whose cases are checked")


def _files(
    inputs: list[str] | None, expected: list[Path] | None, cases: int | None, seed: int | None
) -> tuple[list[Path], list[Path]]:
    from etcoreml.cli.inputs import check_readable, input_files, unnamed_files

    for name, value in (("--cases", cases), ("--seed", seed)):
        if inputs and value is not None:
            raise UsageError(f"{name} is of random inputs", found="--input as well")
    if expected and not inputs:
        raise UsageError("--expected needs the inputs it belongs to", expected="--input FILE")
    for path in expected or ():
        check_readable(path)
        if path.suffix not in (".npy", ".pt"):
            raise UsageError(f"cannot read '{path}' as an output", expected="a .npy or .pt")
    return unnamed_files(input_files(inputs or ())), list(expected or ())


def _cases(
    model: Path,
    method: str,
    inputs: list[Path],
    expected: list[Path],
    count: int,
    seed: int,
    numerics: Numerics | None,
) -> list[Case]:
    import etcoreml
    from etcoreml.cli.inputs import read_file
    from etcoreml.cli.run_program import method_inputs
    from etcoreml.deploy.bundled import case, expect

    program = etcoreml.load(model, numerics=numerics)
    if method not in program.methods:
        raise UsageError(f"'{model}' has no method '{method}'", expected=", ".join(program.methods))
    info = program.methods[method]
    groups = _grouped(inputs, len(info.inputs), "--input") if inputs else [[]] * count
    calls = [
        method_inputs(program, model, method, paths, seed=seed + i)
        for i, paths in enumerate(groups)
    ]
    if not expected:
        with render.stage(f"Running {model.name} for {render.counted(len(calls), 'case')}"):
            return [expect(program, method, each) for each in calls]
    results = _grouped(expected, len(info.outputs), "--expected")
    if len(results) != len(calls):
        raise UsageError(
            "--input and --expected are of different numbers of cases",
            found=f"{len(calls)} and {len(results)}",
        )
    return [
        case(program, method, given, [read_file(path, (), 0.0, 255.0) for path in paths])
        for given, paths in zip(calls, results, strict=True)
    ]


def _grouped(files: list[Path], size: int, option: str) -> list[list[Path]]:
    if not size or len(files) % size:
        raise UsageError(
            f"wrong number of {option} files",
            found=len(files),
            expected=f"{size} for each case" if size else "none",
        )
    return [files[start : start + size] for start in range(0, len(files), size)]


def _document(
    path: Path,
    nbytes: int,
    numerics: Numerics | None,
    rtol: float,
    atol: float,
    verdicts: list[Verdict],
) -> dict[str, Any]:
    import etcoreml
    from etcoreml.cli.run_program import where

    return {
        "bundle": str(path),
        "nbytes": nbytes,
        # Where Apple's delegate serves, it has its own.
        "numerics": numerics or ("fast" if etcoreml.bridge.registered else None),
        "rtol": rtol,
        "atol": atol,
        "ran_on": where(),
        "passed": all(each.passed for each in verdicts),
        "cases": [
            {
                "method": each.method,
                "case": each.index,
                "passed": each.passed,
                "outputs": [
                    None
                    if distance is None
                    else {"snr_db": distance.snr_db, "max_abs": distance.max_abs}
                    for distance in each.distances
                ],
            }
            for each in verdicts
        ],
    }


def _print(document: dict[str, Any]) -> None:
    typer.echo(f"{document['bundle']}: {render.megabytes(document['nbytes'])}")
    render.print_table(
        f"Cases, compared by ExecuTorch with rtol {document['rtol']:g}, atol {document['atol']:g}",
        ("method", "case>", "verdict", "output>", "SNR dB>", "max abs difference>"),
        [
            (case["method"], case["case"], "pass" if case["passed"] else "FAIL", i, *_far(output))
            for case in document["cases"]
            for i, output in enumerate(case["outputs"])
        ],
    )
    typer.echo(f"\nran on  {document['ran_on']}")


def _far(output: dict[str, float] | None) -> tuple[str, str]:
    if output is None:
        return "-", "another shape"
    return f"{output['snr_db']:.1f}", f"{output['max_abs']:.3g}"
