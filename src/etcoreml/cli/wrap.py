"""``etcoreml wrap``: a Core ML model as a .pte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etcoreml.atomic import write_atomic
from etcoreml.choices import ComputeUnit
from etcoreml.cli import render
from etcoreml.cli.options import Json
from etcoreml.cli.outputs import check_writable
from etcoreml.errors import UsageError, naming
from etcoreml.imports import quiet_imports

if TYPE_CHECKING:
    from etcoreml.deploy.pte_writer import TensorSlot
    from etcoreml.deploy.wrap import Wrapped

_SUFFIXES = (".mlpackage", ".mlmodelc")


def wrap(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .mlpackage or .mlmodelc with an ML Program.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="MODEL.pte", help="The .pte to write.", show_default=False
        ),
    ],
    compute_unit: Annotated[ComputeUnit, typer.Option(help="Where Core ML may run it.")] = "all",
    max_shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=D,D,...",
            help="The largest shape of an input that may vary; needed where the model sets no "
            "limit. Repeatable.",
            show_default="the model's own limits",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a .pte whose delegate is an existing Core ML model: no PyTorch source is needed.

    Each function of MODEL becomes a method, `main` becomes `forward`. Inputs and outputs are those
    of the function, in the order of the model's description; they have to be arrays of float16,
    float32, float64 or int32. Models with pictures, class labels or several stages are refused.
    """
    _check_model(model)
    check_writable(output, ".pte")
    shapes = _shapes(max_shape or ())
    with render.stage("Loading executorch"), quiet_imports():
        import executorch.exir._serialize._program  # noqa: F401

        from etcoreml.deploy.wrap import wrap_model
    with naming(model), render.stage(f"Wrapping {model.name}"):
        wrapped = wrap_model(model, compute_unit=compute_unit, max_shapes=shapes)
    write_atomic(output, lambda file: file.write(wrapped.pte))
    document = _document(model, output, wrapped)
    if json:
        render.print_json(document)
    else:
        _print(document)


def _check_model(model: Path) -> None:
    if model.suffix not in _SUFFIXES:
        raise UsageError(
            f"cannot wrap '{model}'",
            found=model.suffix or "no suffix",
            expected=f"a {' or '.join(_SUFFIXES)}",
            hint="A .mlmodel of an ML Program becomes a .mlpackage when coremltools saves it."
            if model.suffix == ".mlmodel"
            else None,
        )
    if not model.is_dir():
        raise UsageError(f"there is no folder '{model}'")


def _shapes(values: list[str] | tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        name, _, sizes = value.rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shape = ()
        if not name or not shape or min(shape) < 1:
            raise UsageError(
                "--max-shape does not say a shape", found=value, expected="INPUT=D,D,..."
            )
        if name in shapes:
            raise UsageError(f"--max-shape is given twice for '{name}'")
        shapes[name] = shape
    return shapes


def _document(model: Path, output: Path, wrapped: Wrapped) -> dict[str, Any]:
    from etcoreml.runtime.operations import count_operations

    functions = wrapped.program.functions
    return {
        "model": str(model),
        "program": str(output),
        "nbytes": len(wrapped.pte),
        "identifier": wrapped.identifier,
        "specification_version": wrapped.program.spec_version,
        "methods": [
            {
                "name": method.name,
                "function": method.function,
                "inputs": [_slot(each) for each in method.inputs],
                "outputs": [_slot(each) for each in method.outputs],
                "states": [state.name for state in functions[method.function].states],
                "mil_ops_not_here": [
                    each.type
                    for each in count_operations(functions[method.function])
                    if not each.runs_here
                ],
            }
            for method in wrapped.methods
        ],
    }


def _slot(slot: TensorSlot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "shape": list(slot.shape),
        "dtype": slot.dtype.torch,
        "dynamic": slot.dynamic,
    }


def _print(document: dict[str, Any]) -> None:
    typer.echo(f"{document['program']}: {render.megabytes(document['nbytes'])}")
    for method in document["methods"]:
        render.print_table(
            f"Method {method['name']}, function {method['function']}",
            ("", "position>", "name", "shape", "dtype"),
            [
                (kind, i, each["name"], _shape(each), each["dtype"])
                for kind in ("inputs", "outputs")
                for i, each in enumerate(method[kind])
            ],
        )
        if method["states"]:
            typer.echo(f"states, kept by the delegate: {', '.join(method['states'])}")
        if method["mil_ops_not_here"]:
            typer.echo(f"MIL ops that run here: {render.runs_here(method['mil_ops_not_here'])}")


def _shape(tensor: dict[str, Any]) -> str:
    sign = "<=" if tensor["dynamic"] else ""
    return "(" + ", ".join(f"{sign}{size}" for size in tensor["shape"]) + ")"
