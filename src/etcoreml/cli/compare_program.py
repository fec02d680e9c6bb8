"""``etcoreml compare``: runs a .pte with its values kept, and eager beside it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcoreml.choices import Numerics, Precision
from etcoreml.cli import render
from etcoreml.cli.inputs import read_inputs
from etcoreml.cli.recorded import core_ml_functions, lowered_with_record
from etcoreml.cli.run_program import start_threads
from etcoreml.errors import UsageError
from etcoreml.trace.metrics import Distance

_ROOM_AT_LEAST = 64 << 20
"""Bytes of a debug buffer: for operators outside of the delegates, and sizes that vary."""


@dataclass(frozen=True)
class Comparison:
    """What was compared.

    Attributes:
        operations: ``comparison.Compared`` in order of the graph.
        outputs: Of the method, in order.
        numerics: How it was computed; None if Apple's delegate did.
    """

    operations: Sequence[Any]
    outputs: Sequence[Distance]
    numerics: Numerics | None

    @property
    def worst_output_db(self) -> float:
        """The least signal-to-noise ratio of an output, in dB."""
        return min((each.snr_db for each in self.outputs), default=math.inf)


def compare_program(
    model: str,
    files: Sequence[Path],
    *,
    etrecord: Path | None,
    precision: Precision,
    numerics: Numerics | None,
) -> Comparison:
    """Compare.

    Args:
        model: A .pte, or what ``etcoreml export`` takes.
        files: A file for each input, in order; none for the model's example inputs.
        etrecord: Of the .pte.
        precision: Of a model that is lowered.
        numerics: How it is computed; None for ``faithful``, or as Apple's delegate does where that
            serves, which takes no such option.

    Raises:
        UsageError: An input cannot be read, or the record has nothing to compare with.
        EtCoreMLError: The model cannot be lowered, loaded or run.
    """
    with tempfile.TemporaryDirectory(prefix="etcoreml-compare-") as name:
        folder = Path(name)
        pte = Path(model)
        if etrecord is None:
            pte, etrecord = lowered_with_record(model, folder, precision)
        with render.stage("Loading torch and executorch"):
            import torch
            from executorch.devtools.etrecord import parse_etrecord

            import etcoreml
            from etcoreml.trace.comparison import compare_outputs, compare_values
            from etcoreml.trace.record import restore_constants

            start_threads()
        if numerics is None and etcoreml.bridge.registered:
            numerics = "faithful"
        record = parse_etrecord(str(etrecord))
        if record.exported_program is None:
            raise UsageError(f"'{etrecord}' holds no exported program to compare with")
        values = _inputs(record, files, pte)
        if files:
            record.update_representative_inputs(values)
        if restore_constants(record) or files:
            etrecord = folder / "completed.etrecord"
            record.save(str(etrecord))
        with render.stage("Running eager in fp32"), torch.no_grad():
            result = record.exported_program.module()(*values)
            expected = torch.utils._pytree.tree_leaves(result)
        dump, buffer = folder / "etdump.etdp", folder / "debug_buffer.bin"
        how = f" with {numerics} numerics" if numerics else ""
        with render.stage(f"Running {pte.name}{how}"):
            actual = _run(pte, values, numerics, dump, buffer)
        with render.stage("Comparing"):
            operations = compare_values(dump, buffer, etrecord)
    return Comparison(operations, compare_outputs(actual, expected), numerics)


def _inputs(record: Any, files: Sequence[Path], pte: Path) -> tuple[Any, ...]:
    import torch

    from etcoreml.runtime.pte import read_pte

    if not files:
        given = record._representative_inputs
        if not given:
            raise UsageError("the ETRecord holds no inputs", hint="Give them with --input.")
        return tuple(given)
    method = read_pte(pte).methods[0]
    signature = [(info.shape, info.dtype) for info in method.inputs]
    return tuple(torch.as_tensor(value) for value in read_inputs(files, signature, 0.0, 255.0))


def _run(
    pte: Path, values: Sequence[Any], numerics: Numerics | None, dump: Path, buffer: Path
) -> list[Any]:
    """Run once, with a debug buffer for all values."""
    import etcoreml

    program = etcoreml.load(
        pte, numerics=numerics, enable_etdump=True, debug_buffer_size=_room(pte)
    )
    outputs = program.run(next(iter(program.methods)), values)
    program.write_etdump_result_to_file(dump, buffer)
    return outputs


def _room(pte: Path) -> int:
    """Return twice the bytes of all values of the delegates' operations, and some."""
    from etcoreml.trace.cost import written_elements

    elements = sum(written_elements(each) for each in core_ml_functions(pte))
    return 2 * 4 * elements + _ROOM_AT_LEAST
