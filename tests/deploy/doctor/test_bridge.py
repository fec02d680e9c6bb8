"""The bridge's state. Oracle: what the registration says, in words and versions."""

from __future__ import annotations

import pytest

from etcoreml.deploy.doctor import Status
from etcoreml.deploy.doctor.bridge import built_for, check_bridge
from etcoreml.errors import BridgeError
from etcoreml.runtime.bridge import BridgeStatus


def failed(what: str) -> BridgeStatus:
    error = BridgeError(what)
    return BridgeStatus(False, error.message, error)


@pytest.mark.parametrize(
    ("status", "built", "installed", "expected", "words"),
    [
        (BridgeStatus(True, "registered"), "1.5.1", "1.5.1", Status.OK, "executorch 1.5.1"),
        # As on macOS.
        (BridgeStatus(False, "Apple's own"), None, "1.5.1", Status.OK, "not used: Apple's own"),
        (failed("not built"), None, "1.5.1", Status.MISSING, "not built"),
        (failed("does not fit"), "1.4.0", "1.5.1", Status.MISMATCH, "built for executorch 1.4.0"),
        (failed("no executorch"), "1.5.1", None, Status.MISMATCH, "which is not installed"),
        # Wheels of one release share their ABI: the label is no difference.
        (failed("no symbol"), "1.5.1+cpu", "1.5.1", Status.BROKEN, "no symbol"),
    ],
)
def test_states(
    status: BridgeStatus, built: str | None, installed: str | None, expected: Status, words: str
) -> None:
    check = check_bridge(status, built, installed)
    assert check.status is expected
    assert words in check.found
    assert (check.remedy is None) is (expected is Status.OK)


def test_what_it_was_built_for_here() -> None:
    from executorch.version import __version__

    assert built_for() == __version__
