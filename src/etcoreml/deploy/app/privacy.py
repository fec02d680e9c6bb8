"""``PrivacyInfo.xcprivacy``: what Apple wants an app to declare.

Source: Apple, "Describing use of required reason API"; the calls in ExecuTorch's data loaders and
Core ML delegate (executorch 1.5).
"""

from __future__ import annotations

import plistlib

_PREFIX = "NSPrivacyAccessedAPI"
_REASONS = {
    # The delegate's cache of compiled models reads dates of its own files.
    "FileTimestamp": "C617.1",
    # Elapsed time is measured, by the app and by the delegate's profiler.
    "SystemBootTime": "35F9.1",
}


def privacy_manifest() -> bytes:
    """Return the manifest of an app that runs a model and collects nothing."""
    return plistlib.dumps(
        {
            "NSPrivacyTracking": False,
            "NSPrivacyTrackingDomains": [],
            "NSPrivacyCollectedDataTypes": [],
            f"{_PREFIX}Types": [
                {f"{_PREFIX}Type": f"{_PREFIX}Category{kind}", f"{_PREFIX}TypeReasons": [reason]}
                for kind, reason in _REASONS.items()
            ],
        }
    )
