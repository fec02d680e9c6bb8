"""Arguments and options that several commands have, spelt once.

Each is a type of a command's parameter; its default stays with the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etcoreml.choices import ComputeUnit

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A .pte, .mlpackage, .mlmodel or .mlmodelc; or what `etcoreml export` takes, "
        "which is lowered first.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .pte, .mlpackage, .mlmodel or .mlmodelc.",
        show_default=False,
    ),
]
NewDirectory = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="Where to write it; must not exist, or be empty.", show_default=False
    ),
]

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="FILE",
        help="An input: .npy, .pt, .png or .jpg, in order. Repeatable.",
        show_default="random tensors",
    ),
]
NamedInputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]FILE",
        help="An input: .npy, .pt, .png or .jpg; in order, or of a Core ML model by name. "
        "Repeatable.",
        show_default="random tensors",
    ),
]
Mean = Annotated[
    float,
    typer.Option(help="Subtracted from the pixels (0 to 255) of a picture given for a tensor."),
]
Std = Annotated[float, typer.Option(help="Such a picture's pixels are divided by it.")]
Seed = Annotated[int, typer.Option(help="Seed of random inputs.")]

Method = Annotated[str | None, typer.Option(help="The method of a .pte.", show_default="forward")]
MethodToRun = Annotated[str | None, typer.Option(help="The method to run.", show_default="forward")]
Function = Annotated[
    str | None,
    typer.Option(help="The function of a Core ML model.", show_default="the model's own"),
]

LoweredUnit = Annotated[ComputeUnit, typer.Option(help="Where Core ML may run the model.")]
UnitHere = Annotated[
    ComputeUnit | None,
    typer.Option(help="Where it may run.", show_default="all; what a .pte was exported with"),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads of a Core ML model.", show_default="OpenVINO's own"),
]

Iterations = Annotated[int, typer.Option(min=1, help="Runs that are measured.")]
Warmup = Annotated[int, typer.Option(min=0, help="Runs before those.")]

Limit = Annotated[int | None, typer.Option(min=1, help="Most rows to print.", show_default="all")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show what the libraries below print and warn of.")
]
