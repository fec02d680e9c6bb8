"""The devices of this machine. Oracle: OpenVINO's own list, and coremltools' class names."""

from __future__ import annotations

import openvino as ov

from etcoreml import MLModel
from etcoreml.mil.ct import coremltools
from etcoreml.runtime import compute_device
from etcoreml.runtime.compute_device import MLComputeDevice, MLCPUComputeDevice


def test_every_device_of_openvino_is_listed_once() -> None:
    core = ov.Core()
    found = MLModel.get_available_compute_devices()
    assert [device.name for device in found] == [
        name for name in core.available_devices if name.partition(".")[0] in ("CPU", "GPU", "NPU")
    ]
    (cpu,) = (device for device in found if isinstance(device, MLCPUComputeDevice))
    assert cpu.full_name == core.get_property("CPU", "FULL_DEVICE_NAME")


def test_the_classes_are_named_as_in_coremltools() -> None:
    theirs = vars(coremltools().models.compute_device)
    ours = {name for name in vars(compute_device) if name.endswith("ComputeDevice")}
    assert ours == {name for name in theirs if name.endswith("ComputeDevice")}
    assert all(issubclass(getattr(compute_device, name), MLComputeDevice) for name in ours)
