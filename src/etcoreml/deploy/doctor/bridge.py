"""The native bridge: built, for the executorch that is installed, and registered."""

from __future__ import annotations

from etcoreml.deploy.doctor.check import Check, Status
from etcoreml.runtime.bridge import BridgeStatus

GROUP = "Running .pte files"
_REBUILD = "pip install --force-reinstall --no-deps --no-build-isolation ."


def built_for() -> str | None:
    """Return the version of executorch the bridge was built for; None if it was not built."""
    try:
        from etcoreml._build_info import EXECUTORCH_VERSION
    except ImportError:
        return None
    return EXECUTORCH_VERSION


def check_bridge(status: BridgeStatus, built: str | None, installed: str | None) -> Check:
    """Say how the bridge is.

    Args:
        status: How the registration went.
        built: The version of executorch it was built for; None if it was not built.
        installed: The installed version of executorch, or None.
    """
    name = "bridge"
    if status.registered:
        return Check(GROUP, name, Status.OK, f"registered; built for executorch {built}")
    if status.error is None:
        return Check(GROUP, name, Status.OK, f"not used: {status.reason}")
    # What error says of the cause is the reason; what it says to do is for a user of a wheel.
    if built is None:
        found, state = "not built", Status.MISSING
        return Check(GROUP, name, state, found, "built", "pip install --no-build-isolation .")
    if installed is None:
        found = f"built for executorch {built}, which is not installed"
        return Check(GROUP, name, Status.MISMATCH, found, None, "pip install executorch")
    if built.partition("+")[0] != installed.partition("+")[0]:
        found = f"built for executorch {built}"
        return Check(GROUP, name, Status.MISMATCH, found, f"executorch {installed}", _REBUILD)
    return Check(GROUP, name, Status.BROKEN, status.error.message, None, _REBUILD)
