"""``etcoreml profile``: a .pte through the stock runtime, or a model that is lowered first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etcoreml.atomic import write_atomic
from etcoreml.cli import render
from etcoreml.cli.inputs import unnamed_files
from etcoreml.cli.recorded import core_ml_functions, lowered_with_record
from etcoreml.cli.run_program import method_inputs, start_threads, where
from etcoreml.trace.cost import Cost, costs
from etcoreml.trace.events import UNATTRIBUTED
from etcoreml.trace.profile import UNKNOWN, Profile, Profiled, cost_of, is_operation

Files = Sequence[tuple[str | None, Path]]


def profile_program(
    model: str,
    files: Files,
    *,
    method: str,
    etrecord: Path | None,
    compute_unit: str | None,
    warmup: int,
    iterations: int,
    seed: int,
    etdump: Path | None = None,
    values: Sequence[Any] | None = None,
) -> Profile:
    """Profile a method.

    Args:
        model: A .pte, or what ``etcoreml export`` takes.
        files: A file for each input, in order; none for random ones.
        method: Its name.
        etrecord: Of the .pte.
        compute_unit: Where its delegates run; None for what it was lowered with.
        warmup: Runs before those that are measured.
        iterations: Measured runs.
        seed: Of random inputs.
        etdump: Where to write the ETDump, that of the warm-up included.
        values: The inputs themselves, instead of files.

    Raises:
        UsageError: There is no such method, or an input cannot be read.
        EtCoreMLError: It cannot be lowered, loaded or run.
    """
    paths = unnamed_files(files)
    with tempfile.TemporaryDirectory(prefix="etcoreml-profile-") as name:
        folder = Path(name)
        pte = Path(model)
        if pte.suffix != ".pte":
            pte, etrecord = lowered_with_record(model, folder)
        with render.stage("Loading torch and executorch"):
            import etcoreml
            from etcoreml.runtime import program as _runtime  # noqa: F401
            from etcoreml.trace.table import WHOLE, read_rows

            start_threads()
        program = etcoreml.load(pte, compute_unit=compute_unit, enable_etdump=True)
        if values is None or method not in program.methods:
            values = method_inputs(program, model, method, paths, seed=seed)
        seconds: dict[str, float] = {}
        with render.stage(f"Compiling {pte.name}", seconds, "load_s"):
            program.load(method)
        with render.stage(f"Running it {render.counted(warmup + iterations, 'time')}", still=True):
            for _ in range(warmup + iterations):
                program.run(method, values)
        dump = folder / "etdump.etdp"
        program.write_etdump_result_to_file(dump)
        if etdump is not None:
            data = dump.read_bytes()
            write_atomic(etdump, lambda file: file.write(data))
        rows = read_rows(dump, etrecord, warmup=warmup)
        known = _costs(pte, method)
    operations = [_profiled(row, known) for row in rows if is_operation(row.event)]
    times = {row.event: row.times_ms for row in rows}
    return Profile(
        tuple(operations),
        times[WHOLE],
        times.get(UNATTRIBUTED, (0.0,)),
        {"method": method, "ran_on": where(), **seconds},
    )


def _profiled(row: Any, known: dict[str, Cost]) -> Profiled:
    metadata = row.metadata
    fused = tuple(metadata.get("fusedWith", ()))
    return Profiled(
        name=row.event,
        type=metadata.get("operatorName", "ExecuTorch"),
        times_ms=row.times_ms,
        cost=cost_of(row.event, fused, known) if metadata else UNKNOWN,
        kernel=metadata.get("kernel", ""),
        fused_with=fused,
        aten_ops=row.aten_ops,
        source=row.source,
        module=row.module,
    )


def _costs(pte: Path, method: str) -> dict[str, Cost]:
    """Return the cost of each operation of a method's delegates, by debug symbol."""
    found: dict[str, Cost] = {}
    for function in core_ml_functions(pte, method):
        found |= costs(function)
    return found
