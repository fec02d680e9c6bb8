"""Core ML's own compute plan, through coremltools: on macOS only.

Enters: a model on disk. Leaves: what ``MLComputePlan`` says of each operation. This file was not
run on Core ML: its tests put a stand-in, with the classes of coremltools, in Core ML's place.

Source: coremltools 9.0 ``models/compute_plan.py`` and ``models/compute_device.py``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcoreml.choices import ComputeUnit
from etcoreml.errors import PlanError, UsageError
from etcoreml.mil.ct import coremltools
from etcoreml.placement.rule import Unit

_UNITS: Mapping[str, Unit] = {
    "MLCPUComputeDevice": "CPU",
    "MLGPUComputeDevice": "GPU",
    "MLNeuralEngineComputeDevice": "NE",
}


@dataclass(frozen=True)
class Planned:
    """What Core ML plans for one operation.

    Attributes:
        supported: Units among those allowed that can run it; empty if Core ML does not say.
        preferred: The unit it chose; None if Core ML does not say.
        cost: Its estimated share of the cost, from 0 to 1; None if Core ML does not say.
    """

    supported: tuple[Unit, ...]
    preferred: Unit | None
    cost: float | None


Plans = Mapping[str, Mapping[str, Planned]]
"""By function, then by the operation's first output."""


def is_here() -> bool:
    """Whether this machine may have Core ML."""
    return sys.platform == "darwin"


def core_ml_plan(path: Path, compute_unit: ComputeUnit) -> Plans:
    """Ask Core ML where it would run each operation of a model, nested ones included.

    Args:
        path: A ``.mlpackage``, ``.mlmodel`` or ``.mlmodelc``; it is compiled if need be.
        compute_unit: Units that Core ML may use.

    Raises:
        UsageError: This machine is no Mac.
        PlanError: Core ML refuses, or is older than its compute plans (macOS 14.4).
    """
    if not is_here():
        raise UsageError(
            "plan: Core ML's own plan can only be had on a Mac",
            found=sys.platform,
            hint="Leave --measured out for an estimate.",
        )
    tools = coremltools()
    with tempfile.TemporaryDirectory(prefix="etcoreml-plan-") as folder:
        try:
            compiled = str(path)
            if path.suffix != ".mlmodelc":
                compiled = tools.models.utils.compile_model(
                    str(path), str(Path(folder, "model.mlmodelc"))
                )
            plan = tools.models.compute_plan.MLComputePlan.load_from_path(
                compiled, compute_units=getattr(tools.ComputeUnit, compute_unit.upper())
            )
            program = plan.model_structure.program
        except Exception as error:  # coremltools passes on whatever Core ML raises
            raise PlanError(
                f"plan: Core ML has none for '{path.name}'",
                found=str(error).strip() or type(error).__name__,
                hint="Compute plans need macOS 14.4 or later. --estimated does without.",
            ) from error
        if program is None:
            raise PlanError(
                f"plan: Core ML's plan of '{path.name}' is not that of an ML Program",
                hint="--estimated does without.",
            )
        return {
            name: {
                operation.outputs[0].name: _planned(plan, operation)
                for operation in _walk(function.block)
                if operation.outputs
            }
            for name, function in program.functions.items()
        }


def _walk(block: Any) -> Iterator[Any]:
    for operation in block.operations:
        yield operation
        for nested in operation.blocks:
            yield from _walk(nested)


def _planned(plan: Any, operation: Any) -> Planned:
    usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
    cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
    weight = None if cost is None else float(cost.weight)
    if usage is None:
        return Planned((), None, weight)
    units = {unit for each in usage.supported_compute_devices if (unit := _unit(each))}
    return Planned(tuple(sorted(units)), _unit(usage.preferred_compute_device), weight)


def _unit(device: Any) -> Unit | None:
    """Return the unit of a device of coremltools, a future kind of which is none of ours."""
    return _UNITS.get(type(device).__name__)
