"""Lower an architecture, run it through the stock runtime on our engine, compare it with eager."""

from __future__ import annotations

import copy
import hashlib
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

import etcoreml
from etcoreml.imports import quiet_imports
from tests.architectures.model import Builder, Inputs, Model, build

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower
    from torch.utils import _pytree as pytree

    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner
    from tests.lowering import Runtime, snr_db, specs

LEAST_DB = {"float16": 50.0, "float32": 90.0}
"""The signal-to-noise ratio that every output owes, by precision."""


@dataclass(frozen=True)
class Outcome:
    """What became of an architecture.

    Attributes:
        stage: How far it came: ``export`` and ``lowering`` say what raised, ``runtime`` that
            ExecuTorch could not run it, ``run`` that it ran.
        error: What was raised.
        snr_db: The smallest signal-to-noise ratio of any floating output in any call; None where
            all are exact or none is floating.
        wrong: What differs otherwise: shapes, dtypes, integers, values that are not finite.
        nodes: Number of nodes of the edge program.
        delegated: Those in delegates.
        delegates: Number of delegates.
        seconds: CPU time of lowering.
        outside: What stays outside, with the number of such nodes and the reason.
        half_db: The same ratio where eager computes in fp16 throughout; measured where ``snr_db``
            is below what is owed, and None where eager cannot.
        rounded_db: The same where eager computes in fp32, with weights rounded to fp16.
    """

    stage: str
    error: str = ""
    snr_db: float | None = None
    wrong: str = ""
    nodes: int = 0
    delegated: int = 0
    delegates: int = 0
    seconds: float = 0.0
    outside: tuple[str, ...] = ()
    half_db: float | None = None
    rounded_db: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def run(builder: Builder, mode: str, precision: str, target: str = "iOS18") -> Outcome:
    """Lower, run and compare an architecture.

    Args:
        builder: The architecture.
        mode: ``static`` or ``dynamic``.
        precision: ``float32`` or ``float16``.
        target: The deployment target.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of torch and transformers about themselves
        model = build(builder)
        outcome, found = _found(model, mode, precision, target)
        if found is None:
            return outcome
        calls = model.calls(mode)
        expected = _eager(model.module, calls)
        ratio, wrong = compared(found, expected)
        outcome = replace(outcome, snr_db=ratio, wrong=wrong)
        if precision == "float16" and ratio is not None and ratio < LEAST_DB[precision]:
            outcome = replace(
                outcome,
                half_db=_half_db(model, calls, expected),
                rounded_db=_rounded_db(model, calls, expected),
            )
    return outcome


def _found(
    model: Model, mode: str, precision: str, target: str
) -> tuple[Outcome, list[list[Any]] | None]:
    """Return how far a model came, and the outputs of every call if it ran."""
    calls = model.calls(mode)
    try:
        exported = _exported(model, mode)
    except Exception as error:
        return Outcome("export", _told(error)), None
    partitioner = _partitioner(precision, target)
    begun = time.process_time()
    try:
        manager = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    except Exception as error:
        return Outcome("lowering", _told(error)), None
    seconds = time.process_time() - begun
    totals = partitioner.report.totals()
    left = Counter((each.op, each.reason) for each in partitioner.report.left_out)
    outcome = Outcome(
        "runtime",
        nodes=totals.nodes,
        delegated=totals.nodes_delegated,
        delegates=totals.delegates,
        seconds=round(seconds, 1),
        outside=tuple(f"{count} {op}: {reason}" for (op, reason), count in left.items()),
    )
    try:
        buffer = bytes(manager.to_executorch().buffer)
        method = Runtime.get().load_program(buffer).load_method("forward")
        assert method is not None
        found = []
        for inputs in calls:
            outputs = method.execute([each.clone() for each in inputs])
            found.append([each.clone() if isinstance(each, Tensor) else each for each in outputs])
    except Exception as error:
        return replace(outcome, error=f"{_told(error)} {etcoreml.last_error() or ''}"[:1500]), None
    return replace(outcome, stage="run"), found


def _exported(model: Model, mode: str) -> torch.export.ExportedProgram:
    dynamic = (model.dynamic,) if mode == "dynamic" else None  # the inputs are one *argument
    with torch.no_grad():
        return torch.export.export(
            copy.deepcopy(model.module), model.calls(mode)[0], dynamic_shapes=dynamic, strict=False
        )


def _partitioner(precision: str, target: str) -> CoreMLPartitioner:
    deployment = getattr(coremltools().target, target)
    return CoreMLPartitioner(compile_specs=specs(precision, minimum_deployment_target=deployment))


def digest(builder: Builder, mode: str, precision: str = "float16", target: str = "iOS18") -> str:
    """Return the SHA-256 of an architecture's .pte; what torch.export refuses is ``refused``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exported = _exported(build(builder), mode)
        except Exception:
            return "refused"
        manager = to_edge_transform_and_lower(
            exported, partitioner=[_partitioner(precision, target)]
        )
        return hashlib.sha256(manager.to_executorch().buffer).hexdigest()


def compared(found: list[list[Any]], expected: list[list[Any]]) -> tuple[float | None, str]:
    """Return the smallest ratio of any output in any call, and what differs otherwise."""
    ratios = []
    for call, (outputs, truths) in enumerate(zip(found, expected, strict=True)):
        if len(outputs) != len(truths):
            return None, f"call {call}: {len(outputs)} outputs for {len(truths)}"
        for index, (got, truth) in enumerate(zip(outputs, truths, strict=True)):
            what = f"call {call}, output {index}"
            if got.shape != truth.shape or got.dtype != truth.dtype:
                told = f"{got.dtype}{list(got.shape)} for {truth.dtype}{list(truth.shape)}"
                return None, f"{what}: {told}"
            if not truth.dtype.is_floating_point:
                if not torch.equal(got, truth):
                    return None, f"{what}: {int((got != truth).sum())} integers differ"
                continue
            finite = truth.isfinite()
            if not torch.equal(got[~finite], truth[~finite]):
                return None, f"{what}: infinities or NaN differ"
            if not bool(got[finite].isfinite().all()):
                return None, f"{what}: not finite"
            ratios.append(snr_db(got[finite], truth[finite]))
    finite_ratios = [each for each in ratios if each != float("inf")]
    return (round(min(finite_ratios), 1) if finite_ratios else None), ""


def _eager(module: torch.nn.Module, calls: list[Inputs]) -> list[list[Any]]:
    """Return the outputs of every call in PyTorch, on a copy of the module."""
    module = copy.deepcopy(module)
    with torch.no_grad():
        return [pytree.tree_leaves(module(*(each.clone() for each in inputs))) for inputs in calls]


def _half_db(model: Model, calls: list[Inputs], expected: list[list[Any]]) -> float | None:
    module = copy.deepcopy(model.module).half()
    halves = [tuple(x.half() if x.is_floating_point() else x for x in each) for each in calls]
    try:
        return _ratio(_eager(module, halves), expected)
    except Exception:  # PyTorch has no fp16 kernel, or the model itself asks for fp32
        return None


def _rounded_db(model: Model, calls: list[Inputs], expected: list[list[Any]]) -> float | None:
    return _ratio(_eager(copy.deepcopy(model.module).half().float(), calls), expected)


def _ratio(found: list[list[Any]], expected: list[list[Any]]) -> float | None:
    """Return the smallest ratio, whatever the dtype of what was found."""
    cast = [
        [got.to(truth.dtype) for got, truth in zip(outputs, truths, strict=True)]
        for outputs, truths in zip(found, expected, strict=True)
    ]
    return compared(cast, expected)[0]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1500]
