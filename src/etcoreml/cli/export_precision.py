"""``etcoreml export --precision auto``: which nodes are computed in fp32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from etcoreml.cli import render
from etcoreml.errors import UsageError

DEFAULT_MIN_SNR = 60.0
"""Of each output against eager in fp32, in dB."""


def calibration_files(
    precision: str, calibration: Sequence[str], min_snr: float | None
) -> list[list[Path]]:
    """Return the files of each calibration run.

    Args:
        precision: Of the export.
        calibration: The files of one run each, separated by commas, in order of the inputs.
        min_snr: In dB, if given.

    Raises:
        UsageError: A file does not exist or cannot be read, or the precision needs no inputs.
    """
    for option, given in (("--calibration", bool(calibration)), ("--min-snr", min_snr is not None)):
        if given and precision != "auto":
            raise UsageError(f"{option} is of --precision auto", found=f"--precision {precision}")
    if not calibration:
        return []
    from etcoreml.cli.inputs import check_readable

    runs = [[Path(each) for each in value.split(",")] for value in calibration]
    for path in (path for run in runs for path in run):
        check_readable(path)
    return runs


def choose_nodes(
    program: Any,
    runs: Sequence[Sequence[Path]],
    min_snr: float,
    compile_specs: Any,
    say: Callable[[str], None],
    **partitioner: Any,
) -> Any:
    """Return ``precision.MixedPrecision`` for a program.

    Args:
        program: The ExportedProgram.
        runs: Files of the inputs of each run; none for the example inputs.
        min_snr: In dB.
        compile_specs: The other options, for fp16.
        say: Is told what is under way.
        partitioner: Further options of the partitioner.

    Raises:
        UsageError: A file does not fit, or there are neither files nor example inputs.
        PrecisionError: The ratio cannot be reached.
    """
    from etcoreml.precision import choose

    return choose(
        program,
        [_inputs(program, each) for each in runs] or [_example(program)],
        min_snr_db=min_snr,
        compile_specs=compile_specs,
        say=say,
        **partitioner,
    )


def _example(program: Any) -> tuple[Any, ...]:
    args, kwargs = program.example_inputs or ((), {})
    if kwargs or not args:
        raise UsageError(
            "the model has no positional example inputs to calibrate with",
            hint="Give those of each run with --calibration.",
        )
    return tuple(args)


def _inputs(program: Any, files: Sequence[Path]) -> tuple[Any, ...]:
    import torch

    from etcoreml.cli.inputs import read_inputs

    wanted = set(program.graph_signature.user_inputs)
    values = [
        node.meta["val"]
        for node in program.graph.find_nodes(op="placeholder")
        if node.name in wanted
    ]
    signature = [
        (_example_shape(each), str(each.dtype).removeprefix("torch."))
        if isinstance(each, torch.Tensor)
        else ((), None)
        for each in values
    ]
    _note_sizes(values, files)
    return tuple(
        torch.as_tensor(value) if dtype else value
        for value, (_, dtype) in zip(
            read_inputs(files, signature, 0.0, 255.0), signature, strict=True
        )
    )


def _example_shape(value: Any) -> tuple[int, ...]:
    """Return a shape with the example's sizes for those that vary.

    ``int`` of such a size would fix it to the example's, in the program that is lowered, too.
    """
    return tuple(size if isinstance(size, int) else int(size.node.hint) for size in value.shape)


def _note_sizes(values: Sequence[Any], files: Sequence[Path]) -> None:
    """Say to which size a picture is brought where the model takes several."""
    from etcoreml.cli.inputs import IMAGES

    for value, path in zip(values, files, strict=False):
        if path.suffix.lower() not in IMAGES or not hasattr(value, "shape"):
            continue
        if all(isinstance(size, int) for size in value.shape):
            continue
        *_, height, width = _example_shape(value)
        render.print_note(
            f"{path} is resized to {height} x {width}, the size of the example that the model was "
            "exported with; a .npy or .pt keeps its own"
        )
