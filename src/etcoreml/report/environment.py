"""What a report was made with: versions, and what the machine is as far as they matter."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("etcoreml", "executorch", "torch", "coremltools", "openvino", "numpy")


def environment() -> dict[str, str]:
    """Return versions and the machine by name; nothing that identifies it."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        **found,
        "Python": platform.python_version(),
        "system": f"{platform.system()}, {platform.machine()}",
        "CPU": f"{os.cpu_count()} logical cores",
    }
