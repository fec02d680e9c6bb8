"""The devices that a prediction can use, in the words of ``coremltools.models.compute_device``.

coremltools asks macOS for them. Here they are those that OpenVINO finds on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from etcoreml.engine.fork import core


@dataclass(frozen=True)
class MLComputeDevice:
    """A device of this machine.

    Attributes:
        name: As OpenVINO counts, e.g. ``CPU`` or ``GPU.0``.
        full_name: What the device calls itself.
    """

    name: str
    full_name: str


class MLCPUComputeDevice(MLComputeDevice):
    """The processor."""


class MLGPUComputeDevice(MLComputeDevice):
    """A graphics processor."""


class MLNeuralEngineComputeDevice(MLComputeDevice):
    """A processor for neural networks, in the place of Apple's Neural Engine."""


_KINDS: dict[str, type[MLComputeDevice]] = {
    "CPU": MLCPUComputeDevice,
    "GPU": MLGPUComputeDevice,
    "NPU": MLNeuralEngineComputeDevice,
}


def available_compute_devices() -> list[MLComputeDevice]:
    """Return the devices of this machine that a compute unit can stand for."""
    openvino = core()
    kinds = [(name, _KINDS.get(name.partition(".")[0])) for name in openvino.available_devices]
    return [
        kind(name, str(openvino.get_property(name, "FULL_DEVICE_NAME")))
        for name, kind in kinds
        if kind is not None
    ]
