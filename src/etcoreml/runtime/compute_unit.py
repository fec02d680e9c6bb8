"""Compute units under coremltools' names.

Enters: a member of our enumeration, of coremltools' own, or a string. Leaves: the engine's name.
"""

from __future__ import annotations

import enum

from etcoreml.engine.devices import PREFERENCES
from etcoreml.errors import FeatureTypeError, OptionError


class ComputeUnit(enum.Enum):
    """Where a model may run; values are those of ``coremltools.ComputeUnit``.

    Here they stand for OpenVINO's devices, of which this machine's are used: ALL for NPU, GPU and
    CPU, CPU_AND_GPU for GPU and CPU, CPU_AND_NE for NPU and CPU.
    """

    ALL = 1
    CPU_AND_GPU = 2
    CPU_ONLY = 3
    CPU_AND_NE = 4


def engine_name(compute_unit: object) -> str:
    """Return the engine's name of a compute unit, e.g. ``cpu_only``.

    Args:
        compute_unit: A `ComputeUnit`, a ``coremltools.ComputeUnit`` (told by its name, so that
            coremltools need not be imported) or a name in either case.

    Raises:
        FeatureTypeError: It is neither.
        OptionError: There is no such compute unit.
    """
    name = compute_unit.name if isinstance(compute_unit, enum.Enum) else compute_unit
    if not isinstance(name, str):
        raise FeatureTypeError(
            "compute_units is no compute unit",
            found=type(compute_unit).__name__,
            expected="an etcoreml.ComputeUnit, a coremltools.ComputeUnit or a string",
        )
    if name.lower() not in PREFERENCES:
        raise OptionError(
            "unknown compute unit",
            found=repr(name),
            expected=f"one of {', '.join(PREFERENCES)}",
        )
    return name.lower()
