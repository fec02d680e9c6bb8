"""The engine: which devices it has here, and whether its own kernels are in use.

OpenVINO is loaded in a process of its own: a broken one must not end the examination.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from etcoreml.deploy.doctor.bridge import GROUP
from etcoreml.deploy.doctor.check import Check, Status
from etcoreml.deploy.doctor.packages import version_of

_PROBE = """
import json
from etcoreml.engine.fork import core
from etcoreml.engine.kernels import instruction_set
devices = {name: core().get_property(name, "FULL_DEVICE_NAME") for name in core().available_devices}
print(json.dumps({"devices": devices, "kernels": instruction_set()}))
"""
_TIMEOUT_S = 60
_REINSTALL = 'pip install --force-reinstall --no-deps "openvino>=2026.4,<2027"'
_REBUILD = "pip install --force-reinstall --no-deps --no-build-isolation ."


def check_engine() -> list[Check]:
    """Look at the devices and the kernels."""
    installed = version_of("openvino")
    if installed is None:
        found, remedy = "OpenVINO is not installed", 'pip install "openvino>=2026.4,<2027"'
        return [Check(GROUP, "engine", Status.MISSING, found, "a CPU device", remedy)]
    try:
        answer = _ask()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        found = f"OpenVINO {installed} cannot be loaded: {error}"
        return [Check(GROUP, "engine", Status.BROKEN, found, "a CPU device", _REINSTALL)]
    devices = answer["devices"]
    listed = ", ".join(f"{name} ({what})" for name, what in devices.items())
    if "CPU" not in devices:
        found = f"devices: {listed or 'none'}"
        return [Check(GROUP, "engine", Status.MISSING, found, "a CPU device", _REINSTALL)]
    return [
        Check(GROUP, "engine", Status.OK, f"OpenVINO on {listed}"),
        check_kernels(answer["kernels"], _built_for(), installed),
    ]


def check_kernels(instruction_set: str | None, built: str | None, installed: str) -> Check:
    """Say how the kernels are; without them the engine is slower, and needs more memory.

    Args:
        instruction_set: What they run on here; None if they do not.
        built: The version of OpenVINO they were built for; None if they were not built.
        installed: The installed version of OpenVINO.
    """
    name = "kernels"
    if instruction_set is not None:
        found = f"{instruction_set}; built for OpenVINO {built}"
        return Check(GROUP, name, Status.OK, found, needed=False)
    if built is None:
        found, remedy = "not built: fp16 weights are expanded to f32", _REBUILD
        return Check(GROUP, name, Status.MISSING, found, None, remedy, needed=False)
    if built != installed:
        found, wanted = f"built for OpenVINO {built}", f"OpenVINO {installed}"
        return Check(GROUP, name, Status.MISMATCH, found, wanted, _REBUILD, needed=False)
    found = "built, and this CPU has neither AVX2 nor AVX-512"
    return Check(GROUP, name, Status.MISSING, found, needed=False)


def _built_for() -> str | None:
    try:
        from etcoreml._build_info import OPENVINO_VERSION
    except ImportError:
        return None
    return OPENVINO_VERSION or None


def _ask() -> dict[str, Any]:
    """Return what the probe prints.

    Raises:
        ValueError: It failed, or printed something else.
        OSError, subprocess.SubprocessError: It could not be started, or did not end.
    """
    flags = ["-S"] if sys.flags.no_site else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, *flags, "-c", _PROBE],
        capture_output=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(said[-1] if said else f"its process ended with {done.returncode}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer
