"""Lower a case, run it through the stock runtime on our engine, and compare it with eager."""

from __future__ import annotations

import copy
import functools
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from etcoreml.imports import quiet_imports
from tests.coverage.case import Case

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower
    from torch.utils import _pytree as pytree

    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner
    from tests.lowering import Runtime, specs

# Two roundings to fp16: of an operand and of the result.
_FP16_RELATIVE = 2e-3
_FP16_LARGEST = 65504.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        status: ``full``, ``partly``, ``outside`` or ``raises``.
        reasons: Why nodes are outside, or what was raised.
        wrong: How the result differs from eager; empty when it does not.
        ran: Whether ExecuTorch could run it.
    """

    status: str
    reasons: str = ""
    wrong: str = ""
    ran: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def run(case: Case, target: str, precision: str) -> Outcome:
    """Lower, run and compare a case.

    Args:
        case: The case.
        target: ``iOS15`` to ``iOS18``.
        precision: ``float32`` or ``float16``.
    """
    inputs = pytree.tree_map_only(
        Tensor, lambda x: _rounded(x) if precision == "float16" else x, case.inputs
    )
    exported = copy.deepcopy(_exported(case))
    partitioner = CoreMLPartitioner(
        compile_specs=specs(
            precision, minimum_deployment_target=getattr(coremltools().target, target)
        )
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            manager = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    except Exception as error:
        return Outcome("raises", f"{type(error).__name__}: {error}"[:2000])
    status = _status(manager.exported_program())
    reasons = "; ".join(dict.fromkeys(f"{d.op}: {d.reason}" for d in partitioner.report.left_out))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            buffer = manager.to_executorch().buffer
        method = Runtime.get().load_program(bytes(buffer)).load_method("forward")
        eager = copy.deepcopy(case.module)
        for _ in range(case.calls):
            flat = pytree.tree_leaves(copy.deepcopy(inputs))
            found = [_copied(each) for each in method.execute(flat)]
            torch.manual_seed(0)
            wanted = pytree.tree_leaves(eager(*copy.deepcopy(inputs)))
            wrong = difference(found, wanted, case, precision)
            if wrong:
                return Outcome(status, reasons, wrong, True)
    except Exception as error:
        return Outcome(status, reasons, f"{type(error).__name__}: {error}"[:600])
    return Outcome(status, reasons, "", True)


@functools.lru_cache(maxsize=1)
def _exported(case: Case) -> Any:
    """Export a case once for all of its targets and precisions, which follow one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about its own recurrent layers
        return torch.export.export(
            copy.deepcopy(case.module), copy.deepcopy(case.inputs), strict=False
        )


def difference(found: list[Any], wanted: list[Any], case: Case, precision: str) -> str:
    """Say how results differ from eager's, or return an empty string."""
    if len(found) != len(wanted):
        return f"{len(found)} outputs for {len(wanted)}"
    for index, (got, truth) in enumerate(zip(found, wanted, strict=True)):
        wrong = _difference(got, truth, case, precision)
        if wrong:
            return f"output {index}: {wrong}"
    return ""


def _difference(got: Any, truth: Any, case: Case, precision: str) -> str:
    if not isinstance(truth, Tensor):
        return "" if got == truth else f"{got} for {truth}"
    if got.shape != truth.shape or got.dtype != truth.dtype:
        return f"{got.dtype}{list(got.shape)} for {truth.dtype}{list(truth.shape)}"
    if case.random:
        return ""
    if not truth.dtype.is_floating_point:
        same = got == truth
        same |= _nan_inputs(case, truth)
        return "" if bool(same.all()) else _values(got, truth, ~same)
    got, truth = got.detach().double(), truth.detach().double()
    half = precision == "float16" or truth.dtype in (torch.float16, torch.bfloat16)
    relative = max(_FP16_RELATIVE, case.tolerance) if half else case.tolerance
    scale = truth[truth.isfinite()].abs()
    # Where terms cancel, the error is relative to the terms, not to what is left of them.
    absolute = relative * min(1.0, float(scale.max())) if scale.numel() else 0.0
    if half:
        # Beyond fp16's range a value may overflow or not: the engine computes in fp32.
        beyond = truth.abs() > _FP16_LARGEST
        got, truth = got.masked_fill(beyond, 0.0), truth.masked_fill(beyond, 0.0)
    same = torch.isclose(got, truth, rtol=relative, atol=absolute, equal_nan=True)
    same |= _nan_inputs(case, truth)
    return "" if bool(same.all()) else _values(got, truth, ~same)


def _values(got: Tensor, truth: Tensor, where: Tensor) -> str:
    return f"{got[where][:4].tolist()} for {truth[where][:4].tolist()}"


def _nan_inputs(case: Case, truth: Tensor) -> Tensor:
    """Return where NaN goes into a case that is not compared there."""
    found = torch.zeros(truth.shape, dtype=torch.bool)
    for each in case.inputs if not case.nan else ():
        if each.shape == truth.shape:
            found |= each.isnan()
    return found


def _rounded(x: Tensor) -> Tensor:
    return x.half().to(x.dtype) if x.dtype.is_floating_point else x


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _status(program: Any) -> str:
    """Return how much of a lowered program runs in delegates."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    names = [getattr(node.target, "__name__", "") for node in calls]
    delegated = names.count("executorch_call_delegate")
    left = len([name for name in names if name not in ("executorch_call_delegate", "getitem")])
    if not left:
        return "full"
    return "partly" if delegated else "outside"
