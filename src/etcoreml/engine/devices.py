"""Compute units to OpenVINO devices.

``cpu_only`` -> CPU; ``cpu_and_gpu`` -> GPU, CPU; ``cpu_and_ne`` -> NPU, CPU; ``all`` -> NPU, GPU,
CPU. Only the devices of this machine are used; the CPU is always among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from etcoreml.errors import DeviceError

PREFERENCES = MappingProxyType(
    {
        "all": ("NPU", "GPU", "CPU"),
        "cpu_only": ("CPU",),
        "cpu_and_gpu": ("GPU", "CPU"),
        "cpu_and_ne": ("NPU", "CPU"),
    }
)


def choose_devices(compute_unit: str, available: Sequence[str]) -> tuple[str, ...]:
    """Return the devices to use, the most preferred first.

    Args:
        compute_unit: A compute unit as ExecuTorch's compile specs spell it.
        available: Names of the devices present, e.g. ``CPU``, ``GPU.0``.

    Raises:
        DeviceError: The compute unit is unknown, or OpenVINO has no CPU device here.
    """
    preferred = PREFERENCES.get(compute_unit)
    if preferred is None:
        what = "engine: unknown compute unit"
        raise DeviceError(what, found=repr(compute_unit), expected=f"one of {list(PREFERENCES)}")
    present = {name.partition(".")[0] for name in available}
    if "CPU" not in present:
        what = "engine: OpenVINO has no CPU device on this machine"
        raise DeviceError(what, found=list(available))
    return tuple(device for device in preferred if device in present)


def device_string(devices: Sequence[str]) -> str:
    """Return the devices as OpenVINO takes them: each op runs on the first that supports it."""
    return devices[0] if len(devices) == 1 else f"HETERO:{','.join(devices)}"
