"""All checks of this machine, in the order of what stands on what."""

from __future__ import annotations

import etcoreml
from etcoreml.deploy.doctor.bridge import built_for, check_bridge
from etcoreml.deploy.doctor.check import Check
from etcoreml.deploy.doctor.engine import check_engine
from etcoreml.deploy.doctor.packages import check_packages, version_of
from etcoreml.deploy.doctor.tools import check_apple_tools, check_build_tools


def examine() -> list[Check]:
    """Look at this machine; takes about a second, and raises nothing of what it finds."""
    bridge = check_bridge(etcoreml.bridge, built_for(), version_of("executorch"))
    return [
        *check_packages(),
        bridge,
        *check_engine(),
        *check_build_tools(needed=not bridge.is_ok),
        *check_apple_tools(),
    ]
