"""``etcoreml report``: everything known of a model, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etcoreml.atomic import write_atomic
from etcoreml.choices import ComputeUnit, Numerics
from etcoreml.cli import render
from etcoreml.cli.model_paths import CORE_ML, check_any_model, check_applicable
from etcoreml.cli.options import Function, Iterations, Method, Seed, Threads, Warmup
from etcoreml.cli.outputs import check_writable
from etcoreml.cli.voices import libraries
from etcoreml.errors import UsageError


def report(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="What `etcoreml export` takes, which is lowered first; or a .pte, .mlpackage, "
            ".mlmodel or .mlmodelc.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write: a page as .html, or its data as .json.",
            show_default="none",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="[NAME=]FILE",
            help="An input: .npy, .pt, .png or .jpg; in order, or of a Core ML model by name. "
            "Repeatable.",
            show_default="the example inputs of a model that is lowered; else random tensors",
        ),
    ] = None,
    etrecord: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The ETRecord of a .pte: adds precision, modules and source lines.",
            show_default="none",
        ),
    ] = None,
    method: Method = None,
    function: Function = None,
    numerics: Annotated[
        Numerics | None,
        typer.Option(
            help="How the values that are compared are computed; of a Core ML model, how it runs.",
            show_default="faithful; fast for a Core ML model",
        ),
    ] = None,
    compute_unit: Annotated[
        ComputeUnit, typer.Option(help="Where Core ML may run it, in the plan that is estimated.")
    ] = "cpu_and_ne",
    threads: Threads = None,
    iterations: Iterations = 20,
    warmup: Warmup = 3,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the data as JSON.")] = False,
) -> None:
    """Write one page about MODEL: delegation, time, precision, an estimated plan and weights.

    The page holds everything it shows, and loads nothing from anywhere.
    """
    suffix = Path(model).suffix
    is_core_ml = suffix in CORE_ML
    check_any_model(model, "report on")
    if output is None and not json:
        raise UsageError("there is nowhere to write to", hint="Give -o report.html, or --json.")
    if output is not None:
        check_writable(output, ".html", ".json")
    check_applicable(
        model,
        of_a_pte={"--method": method, "--etrecord": etrecord},
        of_core_ml={"--function": function, "--threads": threads},
    )
    if etrecord is not None and not etrecord.is_file():
        raise UsageError(f"there is no file '{etrecord}'")
    if suffix != ".pte" and (etrecord is not None or (method and not is_core_ml)):
        option = "--method" if etrecord is None else "--etrecord"
        raise UsageError(f"{option} is of a .pte", found=model)
    if suffix == ".pte" and etrecord is None and numerics is not None:
        raise UsageError("--numerics is of the comparison with eager, which needs --etrecord")
    from etcoreml.cli.inputs import input_files
    from etcoreml.cli.report_data import Runs, core_ml_report, lowered_report, program_report

    files = input_files(inputs or ())
    runs = Runs(files, iterations, warmup, seed, compute_unit)
    with libraries(False):
        if is_core_ml:
            found = core_ml_report(
                Path(model), runs, function=function, numerics=numerics or "fast", threads=threads
            )
        elif suffix == ".pte":
            found = program_report(
                Path(model),
                runs,
                method=method or "forward",
                etrecord=etrecord,
                numerics=numerics,
            )
        else:
            found = lowered_report(model, runs, numerics=numerics)
    document = found.to_dict()
    if output is not None:
        if output.suffix == ".html":
            from etcoreml.report.page import page

            text = page(document)
        else:
            text = render.json_text(document)
        write_atomic(output, lambda file: file.write(text.encode()))
    if json:
        render.print_json(document)
    else:
        _print_summary(document, output)


def _print_summary(document: dict[str, object], output: Path | None) -> None:
    """Say in a few lines what the page shows at length."""
    graph, time, precision = (document[name] for name in ("graph", "time", "precision"))
    assert isinstance(graph, dict)
    assert isinstance(time, dict)
    facts: list[tuple[str, object]] = [
        ("written", output),
        ("in Core ML", f"{graph['inside']} of {graph['total']} {graph['level']} nodes"),
        ("run", f"{time['run_ms']:.3f} ms, median of {time['iterations']}"),
    ]
    if isinstance(precision, dict):
        found = [each["snr_db"] for each in precision["outputs"] if not each["exact"]]
        worst = "exact" if not found else "lost" if None in found else f"{min(found):.1f} dB"
        facts.append(("precision", f"{worst}, SNR of the worst output beside eager in fp32"))
    else:
        facts.append(("precision", f"not measured: {document['precision_missing']}"))
    plan = document["plan"]
    if isinstance(plan, dict):
        facts.append(("plan", _plan_text(plan)))
    facts.append(("ran on", document["ran_on"]))
    render.print_facts(facts)


def _plan_text(plan: dict[str, Any]) -> str:
    """Say where most of the work is, or of the operations if no work is known."""
    from etcoreml.cli.plan_report import percent

    rows = plan["operations"]
    known = any(each["estimated_work_share"] for each in rows)
    totals: dict[str, float] = {}
    for each in rows:
        amount = (each["estimated_work_share"] or 0) if known else 1
        totals[each["preferred"]] = totals.get(each["preferred"], 0) + amount
    unit, most = max(totals.items(), key=lambda item: item[1])
    share = f"{percent(most)} of the work" if known else f"{most:.0f} of {len(rows)} operations"
    return f"{share} probably on {unit}, an estimate for {plan['compute_unit']}"
