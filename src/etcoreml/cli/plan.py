"""``etcoreml plan``: which of Apple's compute units can run each operation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etcoreml.choices import ComputeUnit
from etcoreml.cli import render
from etcoreml.cli.model_paths import check_any_model, check_applicable
from etcoreml.cli.options import Json, Model
from etcoreml.cli.voices import libraries
from etcoreml.errors import PlanError


def plan(
    model: Model,
    compute_unit: Annotated[
        ComputeUnit | None,
        typer.Option(
            help="Where Core ML may run it.", show_default="all; what a .pte was exported with"
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="The method of a .pte.", show_default="every one")
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(help="The function of a Core ML model.", show_default="every one"),
    ] = None,
    measured: Annotated[
        bool | None,
        typer.Option(
            "--measured/--estimated",
            help="Ask Core ML itself, which takes a Mac; or estimate from rules.",
            show_default="measured on a Mac, else estimated",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most rows of a table to print.", show_default="all")
    ] = None,
    json: Json = False,
) -> None:
    """Estimate which of Apple's compute units can, and probably will, run each op of MODEL.

    Say what leaves the Neural Engine, why, and what to change. MODEL is not run. What the rules
    rest on, and how far they were right about real plans, is in docs/placement.md.
    """
    check_any_model(model, "plan")
    check_applicable(model, of_a_pte={"--method": method}, of_core_ml={"--function": function})
    from etcoreml.placement.core_ml import core_ml_plan, is_here

    if measured and not is_here():
        core_ml_plan(Path(model), compute_unit or "all")  # says why it cannot
    with libraries(False):
        from etcoreml.cli.plan_parts import core_ml_plans, exported_unit, parts_of

        whole = parts_of(model, method=method, function=function)
        unit = compute_unit or exported_unit(whole)
        plans = None
        if measured or (measured is None and is_here()):
            try:
                with render.stage("Asking Core ML"):
                    plans = core_ml_plans(whole, unit)
            except PlanError as error:
                if measured:
                    raise
                render.print_note(f"{error.message}; what follows is an estimate")
    from etcoreml.cli.plan_report import plan_document, print_plan

    document = plan_document(model, whole, unit, plans)
    if json:
        render.print_json(document)
    else:
        print_plan(document, limit)
