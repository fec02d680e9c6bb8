"""``etcoreml app check``: a Swift package that checks a .pte on a device."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from etcoreml.choices import Numerics
from etcoreml.cli import render
from etcoreml.cli.options import Inputs, Json, Mean, MethodToRun, NewDirectory, Seed, Std
from etcoreml.errors import UsageError

_WAYS: tuple[Numerics, ...] = ("faithful", "fast")
_APPLE = "core_ml"
"""What is computed where Apple's delegate serves, which has numerics of its own."""


def check(
    directory: NewDirectory,
    model: Annotated[
        Path, typer.Option(metavar="FILE", help="The .pte to check.", show_default=False)
    ],
    inputs: Inputs = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="What the .pte was made of, as `etcoreml export` takes it: compares with eager "
            "too.",
            show_default="none",
        ),
    ] = None,
    method: MethodToRun = None,
    mean: Mean = 0.0,
    std: Std = 255.0,
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(min=1, help="Timed runs on each compute unit.")] = 50,
    min_snr: Annotated[
        float,
        typer.Option(help="Least signal-to-noise ratio in dB that the generated tests accept."),
    ] = 30.0,
    json: Json = False,
) -> None:
    """Write a Swift package that runs a .pte on a device and compares it with this machine.

    It carries the inputs, and the outputs that this machine computes; `swift run` on a Mac, or a
    unit test on an iPhone, writes a report that `etcoreml compare FILE --device-report` reads.
    """
    from etcoreml.cli.inputs import input_files, unnamed_files
    from etcoreml.cli.model_paths import check_pte
    from etcoreml.cli.model_source import check_model
    from etcoreml.deploy.app.folder import check_new

    check_pte(model)
    check_new(directory)
    if std == 0:
        raise UsageError("--std must not be zero")
    if source is not None:
        check_model(source)
    files = unnamed_files(input_files(inputs or ()))
    with render.stage("Loading torch and executorch"):
        import etcoreml.runtime.program
        from etcoreml.cli.run_program import method_inputs, start_threads
        from etcoreml.deploy.app.model import read_app_model
        from etcoreml.deploy.check.package import make_check, write_check
        from etcoreml.deploy.check.reference import Reference

        start_threads()
    with render.stage(f"Reading {model.name}"):
        program = read_app_model(model, method)
    name = program.method.name
    values: list[Any] = []
    outputs: dict[str, Sequence[Any]] = {}
    ways: tuple[Numerics | None, ...] = _WAYS if etcoreml.bridge.registered else (None,)
    for numerics in ways:
        with render.stage(f"Running it {f'with {numerics} numerics' if numerics else 'here'}"):
            loaded = etcoreml.load(model, numerics=numerics)
            if not outputs:
                values = method_inputs(loaded, model, name, files, seed=seed, mean=mean, std=std)
            outputs[numerics or _APPLE] = [_array(each) for each in loaded.run(name, values)]
    if source is not None:
        outputs["eager"] = _eager(source, values, next(reversed(outputs.values())))
    bundle = None
    if all(each.kind == "tensor" for each in loaded.methods[name].outputs):
        from etcoreml.deploy.bundled import case, write_bundle

        cases = [case(loaded, name, values, expected) for expected in outputs.values()]
        bundle = write_bundle(model, cases)
    from etcoreml.deploy.app.release import installed_release

    package = make_check(
        Reference(
            *(program, model.name, installed_release().executorch),
            [_array(each) for each in values],
            outputs,
            min_snr,
            iterations,
        ),
        bundle,
    )
    with render.stage(f"Writing {directory}"):
        write_check(package, directory)
    if json:
        render.print_json(
            {
                "directory": str(directory),
                "method": name,
                "references": list(outputs),
                "branch": package.branch,
                "products": list(package.products),
                "files": sorted(package.files),
            }
        )
        return
    render.print_facts(
        [
            ("checks", f"{model.name}, method {name}, on each compute unit"),
            ("against", ", ".join(outputs)),
            ("links", f"{', '.join(package.products)} of {package.branch}"),
            ("files", f"{len(package.files)} in {directory}, not built here"),
        ]
    )
    folder, program_file = (shlex.quote(str(each)) for each in (directory, model))
    typer.echo(f"\nNext, on a Mac: cd {folder} && swift run -c release device-check")
    typer.echo(f"Then here: etcoreml compare {program_file} --device-report report.json")


def _array(value: Any) -> Any:
    import torch

    return value.numpy() if isinstance(value, torch.Tensor) else value


def _eager(source: str, values: Sequence[Any], ours: Sequence[Any]) -> list[Any]:
    """Run the model that the .pte was made of, and check that it is one like it."""
    import numpy as np
    import torch

    from etcoreml.cli.model_source import export_error, exported_program

    with render.stage(f"Running {source} in eager"), torch.no_grad():
        given = [torch.as_tensor(v) if isinstance(v, np.ndarray) else v for v in values]
        try:
            result = exported_program(source).module()(*given)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise export_error(f"'{source}' cannot run these inputs", error) from error
        outputs = [_array(each) for each in torch.utils._pytree.tree_leaves(result)]
    found, expected = (
        [(np.asarray(each).dtype.name, np.shape(each)) for each in some] for some in (outputs, ours)
    )
    if found != expected:
        raise UsageError(
            f"'{source}' is not what the .pte was made of: its outputs are others",
            found=found,
            expected=expected,
        )
    return outputs
