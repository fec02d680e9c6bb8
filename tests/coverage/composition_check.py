"""Lower compositions and compare them with eager.

Usage: python -m tests.coverage.composition_check FIRST LAST
checks the programs of a range of seeds.

A composition may be ill-conditioned: what moves when the inputs move by a few units in the last
place is not compared.
"""

from __future__ import annotations

import copy
import sys
import warnings
from typing import Any

import torch
from torch import Tensor

from tests.coverage.composition import Composition, compose
from tests.coverage.harness import (
    CoreMLPartitioner,
    Runtime,
    coremltools,
    pytree,
    specs,
    to_edge_transform_and_lower,
)

TARGETS = ("iOS15", "iOS18")
_RELATIVE = 1e-3
_NUDGES = (1 + 3e-6, 1 - 3e-6)


def check(program: Composition, target: str) -> str:
    """Return what is wrong with a composition at a target; empty when nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = _exported(program)
        if exported is None:
            return ""
        partitioner = CoreMLPartitioner(
            compile_specs=specs(
                "float32", minimum_deployment_target=getattr(coremltools().target, target)
            )
        )
        try:
            manager = to_edge_transform_and_lower(exported, partitioner=[partitioner])
            buffer = manager.to_executorch().buffer
        except Exception as error:
            return f"raises {type(error).__name__}: {error}"[:1500]
        if any(each.lacks_kernel for each in partitioner.report.left_out):
            return ""
        inputs = [each.clone() for each in program.inputs]
        wanted = _eager(program, inputs)
        try:
            method = Runtime.get().load_program(bytes(buffer)).load_method("forward")
            found = [_copied(each) for each in method.execute([x.clone() for x in inputs])]
        except Exception as error:
            return f"does not run: {error}"[:1500]
        nudged = [_eager(program, [_nudged(x, by) for x in inputs]) for by in _NUDGES]
    # An input that is written to comes out, too, before the results.
    written = {step.arguments[0] for step in program.steps if step.name == "overwrite"}
    found = found[len(written) :]
    if len(found) != len(wanted):
        return f"{len(found)} outputs for {len(wanted)}"
    for index, (got, truth) in enumerate(zip(found, wanted, strict=True)):
        wrong = difference(got, truth, [each[index] for each in nudged])
        if wrong:
            return f"output {index}: {wrong}"
    return ""


def _exported(program: Composition) -> Any:
    shapes = None
    if program.varies:
        rows = torch.export.Dim("rows", min=1, max=8)
        shapes = (tuple({0: rows} if x.dim() > 1 else None for x in program.inputs),)
    for given in (shapes, None):
        try:
            return torch.export.export(
                copy.deepcopy(program),
                tuple(each.clone() for each in program.inputs),
                dynamic_shapes=given,
            )
        except Exception:
            continue
    return None


def _eager(program: Composition, inputs: list[Tensor]) -> list[Any]:
    made = copy.deepcopy(program)(*(each.clone() for each in inputs))
    return [_copied(each) for each in pytree.tree_leaves(made)]


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _nudged(x: Tensor, by: float) -> Tensor:
    return x * by if x.is_floating_point() else x


def difference(got: Any, truth: Any, nudged: list[Any]) -> str:
    """Say how a result differs from eager's; ``nudged`` is eager's for inputs next to it."""
    if got.shape != truth.shape or got.dtype != truth.dtype:
        return f"{got.dtype}{list(got.shape)} for {truth.dtype}{list(truth.shape)}"
    firm = torch.ones(truth.shape, dtype=torch.bool)
    for each in nudged:
        if each.shape != truth.shape:
            return ""
        firm &= _close(each, truth, 0.1 * _RELATIVE)
    same = _close(got, truth, _RELATIVE) | ~firm
    if bool(same.all()):
        return ""
    return f"{got[~same][:4].tolist()} for {truth[~same][:4].tolist()}"


def _close(got: Tensor, truth: Tensor, relative: float) -> Tensor:
    if not truth.dtype.is_floating_point:
        return got == truth
    scale = truth[truth.isfinite()].abs()
    absolute = relative * min(1.0, float(scale.max())) if scale.numel() else 0.0
    return torch.isclose(got, truth, rtol=relative, atol=absolute, equal_nan=True)


def main(first: int, last: int) -> None:
    """Check a range of seeds and print what is wrong."""
    for seed in range(first, last):
        program = compose(seed)
        for target in TARGETS:
            wrong = check(program, target)
            if wrong:
                sys.stdout.write(f"{seed} {target}: {wrong}\n    {program}\n")
                sys.stdout.flush()
                break
    sys.stdout.write(f"checked {first} to {last}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
