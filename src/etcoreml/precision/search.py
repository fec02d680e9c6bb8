"""Find the fewest nodes to compute in fp32, by what each tensor costs and by lowering.

Sources of the idea: coremltools' ``FP16ComputePrecision(op_selector=...)``, which leaves the choice
to the user; ours is measured.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from etcoreml.errors import PrecisionError
from etcoreml.imports import quiet_imports
from etcoreml.precision.sensitivity import RoundedTensor, rounded_tensors
from etcoreml.runtime.program import load
from etcoreml.trace.metrics import distance

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower
    from executorch.exir.backend.compile_spec_schema import CompileSpec

    from etcoreml.compiler import CoreMLBackend
    from etcoreml.compiler.specs import COMPILE_SPEC_KEYS
    from etcoreml.partition import CoreMLPartitioner

_MOST_REMOVALS = 12
"""Tensors that are tried to be rounded again, one by one: each is a lowering."""


@dataclass(frozen=True)
class MixedPrecision:
    """The nodes to compute in fp32, and what that gives.

    Attributes:
        nodes: Names of edge nodes, sorted; empty where fp16 is good enough.
        snr_db: Least signal-to-noise ratio of an output, over all inputs given, in dB.
        snr_db_float16: The same with every node in fp16.
        delegated: Number of nodes that go to Core ML.
        lowerings: How often the program was lowered to find out.
    """

    nodes: tuple[str, ...]
    snr_db: float
    snr_db_float16: float
    delegated: int
    lowerings: int

    def compile_spec(self) -> CompileSpec:
        """Return the compile spec that stores the choice; the precision has to be FLOAT16."""
        return CoreMLBackend.generate_float32_nodes_compile_spec(self.nodes)


def choose(
    program: ExportedProgram,
    inputs: Sequence[tuple[Any, ...]],
    *,
    min_snr_db: float = 60.0,
    compile_specs: Sequence[CompileSpec] = (),
    say: Callable[[str], None] = lambda text: None,
    **partitioner: Any,
) -> MixedPrecision:
    """Find the fewest nodes whose fp32 brings every output to a signal-to-noise ratio.

    Few, not fewest in the sense of a proof: tensors are ranked by what their rounding alone costs,
    a prefix of that order is halved and doubled until it just suffices, and its members are tried
    to be left out again. Each try lowers the program and runs it here with ``faithful`` numerics.

    Args:
        program: The exported program; its parameters are fp32.
        inputs: Positional inputs of each calibration run. The reference is eager.
        min_snr_db: What every output has to reach on each of them, in dB.
        compile_specs: The other options of the lowering, for fp16.
        say: Is told what is under way.
        partitioner: Further options of ``CoreMLPartitioner``.

    Raises:
        PrecisionError: Not even fp32 reaches the ratio, or there is no input.
        CompileSpecError: The specs ask for another precision.
        EtCoreMLError: The program cannot be lowered or run.
    """
    if not inputs:
        raise PrecisionError("mixed precision: at least one calibration input is needed")
    lowering = _Lowering(program, inputs, compile_specs, partitioner)
    say("fp16 throughout")
    if lowering.snr_db(()) >= min_snr_db:
        return lowering.result(())
    tensors = rounded_tensors(
        lowering.edge,
        inputs,
        lowering.delegated,
        lambda done, all_: say(f"what rounding tensor {done} of {all_} costs"),
    )
    lowering.edge = None
    count = _shortest_prefix(tensors, min_snr_db, lowering, say)
    kept = _without_needless(list(tensors[:count]), min_snr_db, lowering, say)
    return lowering.result(_nodes(kept))


def _nodes(tensors: Sequence[RoundedTensor]) -> tuple[str, ...]:
    return tuple(sorted({name for each in tensors for name in each.nodes}))


class _Lowering:
    """Lowers a program with a choice of nodes, and measures how close it comes to eager."""

    def __init__(
        self,
        program: ExportedProgram,
        inputs: Sequence[tuple[Any, ...]],
        compile_specs: Sequence[CompileSpec],
        partitioner: dict[str, Any],
    ) -> None:
        self._program, self._inputs = program, inputs
        self._specs = [
            each for each in compile_specs if each.key != COMPILE_SPEC_KEYS.FLOAT32_NODES.value
        ]
        self._partitioner = partitioner
        self._known: dict[tuple[str, ...], float] = {}
        self.edge: Any = None
        self.delegated: frozenset[str] = frozenset()
        with torch.no_grad():
            self._expected = [pytree.tree_leaves(program.module()(*each)) for each in inputs]

    def snr_db(self, nodes: tuple[str, ...]) -> float:
        """Return the least ratio of an output with some nodes in fp32."""
        if nodes not in self._known:
            self._known[nodes] = self._measured(nodes)
        return self._known[nodes]

    def result(self, nodes: tuple[str, ...]) -> MixedPrecision:
        """Return a choice with its figures."""
        reached = self.snr_db(nodes)
        return MixedPrecision(
            nodes, reached, self._known[()], len(self.delegated), len(self._known)
        )

    def _measured(self, nodes: tuple[str, ...]) -> float:
        specs = [*self._specs, CoreMLBackend.generate_float32_nodes_compile_spec(nodes)]
        chooser = CoreMLPartitioner(compile_specs=specs, **self._partitioner)
        first = not self._known
        lowered = to_edge_transform_and_lower(
            self._program, partitioner=[chooser], generate_etrecord=first
        )
        if first:
            self.edge = lowered._etrecord.edge_dialect_program
            self.delegated = frozenset(each.node for each in chooser.report.delegated)
        with tempfile.TemporaryDirectory(prefix="etcoreml-precision-") as folder:
            path = Path(folder, "model.pte")
            with path.open("wb") as file:
                lowered.to_executorch().write_to_file(file)
            loaded = load(path, numerics="faithful")
            method = next(iter(loaded.methods))
            worst = math.inf
            for given, expected in zip(self._inputs, self._expected, strict=True):
                found = loaded.run(method, pytree.tree_leaves(given))
                loaded.reset()  # eager starts each run as exported, too
                worst = min(worst, *map(_snr_db, found, expected), math.inf)
        return worst


def _snr_db(actual: Any, expected: Any) -> float:
    actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
    found = distance(actual.reshape(expected.shape).numpy(), expected.numpy())
    return -math.inf if found.not_finite else found.snr_db


def _shortest_prefix(
    tensors: Sequence[RoundedTensor],
    min_snr_db: float,
    lowering: _Lowering,
    say: Callable[[str], None],
) -> int:
    """Return how many of the dearest tensors have to stay unrounded.

    Raises:
        PrecisionError: All of them are not enough.
    """

    def suffices(count: int) -> bool:
        nodes = _nodes(tensors[:count])
        say(f"{len(nodes)} of {len(lowering.delegated)} nodes in fp32")
        return lowering.snr_db(nodes) >= min_snr_db

    allowed = 10 ** (-min_snr_db / 10)
    rest = math.fsum(each.noise for each in tensors if math.isfinite(each.noise))
    guess = 0
    while guess < len(tensors) and (math.isinf(tensors[guess].noise) or rest > allowed):
        rest -= 0.0 if math.isinf(tensors[guess].noise) else tensors[guess].noise
        guess += 1
    fails, step = 0, max(guess, 1)
    while not suffices(min(step, len(tensors))):
        if step >= len(tensors):
            raise PrecisionError(
                "mixed precision: fp32 throughout does not reach the ratio",
                found=f"{lowering.snr_db(_nodes(tensors)):.1f} dB",
                expected=f"{min_snr_db:.1f} dB",
                hint="The rest is what Core ML's ops and the order of sums differ from eager by.",
            )
        fails, step = step, 2 * step
    works = min(step, len(tensors))
    while works - fails > 1:
        middle = (works + fails) // 2
        if suffices(middle):
            works = middle
        else:
            fails = middle
    return works


def _without_needless(
    kept: list[RoundedTensor],
    min_snr_db: float,
    lowering: _Lowering,
    say: Callable[[str], None],
) -> list[RoundedTensor]:
    """Leave out, from the cheapest on, the tensors without which the ratio is reached as well."""
    for each in list(reversed(kept))[:_MOST_REMOVALS]:
        fewer = [other for other in kept if other is not each]
        nodes = _nodes(fewer)
        if nodes == _nodes(kept):
            continue
        say(f"{len(nodes)} of {len(lowering.delegated)} nodes in fp32")
        if lowering.snr_db(nodes) >= min_snr_db:
            kept = fewer
    return kept
