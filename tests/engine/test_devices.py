"""Compute units to devices, on machines this one is not."""

from __future__ import annotations

import pytest

from etcoreml.engine.devices import choose_devices, device_string
from etcoreml.errors import DeviceError

EVERYTHING = ["CPU", "GPU.0", "GPU.1", "NPU"]


@pytest.mark.parametrize(
    ("unit", "available", "expected"),
    [
        ("all", EVERYTHING, ("NPU", "GPU", "CPU")),
        ("cpu_only", EVERYTHING, ("CPU",)),
        ("cpu_and_gpu", EVERYTHING, ("GPU", "CPU")),
        ("cpu_and_ne", EVERYTHING, ("NPU", "CPU")),
        ("all", ["CPU"], ("CPU",)),
        ("cpu_and_ne", ["CPU", "GPU"], ("CPU",)),
    ],
)
def test_only_devices_that_are_present(
    unit: str, available: list[str], expected: tuple[str, ...]
) -> None:
    assert choose_devices(unit, available) == expected


def test_refusals() -> None:
    with pytest.raises(DeviceError, match="'fastest'"):
        choose_devices("fastest", ["CPU"])
    with pytest.raises(DeviceError, match="no CPU"):
        choose_devices("all", ["GPU"])


def test_device_string() -> None:
    assert device_string(("CPU",)) == "CPU"
    assert device_string(("NPU", "CPU")) == "HETERO:NPU,CPU"
