"""Loads the native bridge and registers the delegate with the stock ExecuTorch runtime.

Nothing here imports torch, executorch's Python code or coremltools: the bridge links
``libexecutorch.so`` alone, and the delegate's Python side is imported when a program is loaded.
"""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import dataclass
from typing import Any

from etcoreml.errors import BridgeError

# executorch 1.5.1 runtime/core/error.h
_OK = 0x00
_ALREADY_REGISTERED = 0x16


@dataclass(frozen=True)
class BridgeStatus:
    """Whether .pte files with Core ML delegates run in this process.

    Attributes:
        registered: Whether our delegate serves the id ``CoreMLBackend``.
        reason: Why not, if not.
        error: What went wrong, where something did. None on macOS, where Apple's delegate serves.
    """

    registered: bool
    reason: str
    error: BridgeError | None = None


def register() -> BridgeStatus:
    """Register the delegate, once per process.

    Returns:
        The outcome. A failure does not raise: everything ahead of time works without the bridge,
        and `etcoreml.load` raises the status's error when a program is to be run.
    """
    if sys.platform == "darwin":
        return BridgeStatus(False, "the stock ExecuTorch runtime has Apple's own delegate here")
    try:
        native = _load_native()
        code = native.register_backend(_init, _record)
        if code != _OK:
            raise _registration_error(code)
    except BridgeError as error:
        return BridgeStatus(False, error.message, error)
    # Daemon threads may still be inside the delegate when the interpreter goes.
    atexit.register(native.close)
    os.register_at_fork(after_in_child=native.after_fork)
    return BridgeStatus(True, "registered with the stock ExecuTorch runtime")


def _registration_error(code: int) -> BridgeError:
    if code == _ALREADY_REGISTERED:
        return BridgeError(
            "the delegate id CoreMLBackend is already registered in this process",
            hint="Another library registered it first; import etcoreml before that library.",
        )
    return BridgeError(
        f"ExecuTorch refused to register CoreMLBackend: error {code:#x}",
        hint="Its registry holds 16 backends.",
    )


def _load_native() -> Any:
    """Import the extension module after checking that it fits the installed executorch."""
    try:
        from etcoreml._build_info import EXECUTORCH_VERSION
    except ImportError as error:
        raise BridgeError(
            "the native bridge is not built",
            hint="Install etcoreml with pip, with a C++17 compiler at hand: "
            "pip install --no-build-isolation .",
        ) from error
    try:
        # A namespace package: this imports neither torch nor anything else of executorch.
        from executorch.version import __version__ as installed
    except ImportError as error:
        raise BridgeError("executorch is not installed", hint="pip install executorch") from error
    if _release(installed) != _release(EXECUTORCH_VERSION):
        raise BridgeError(
            "the native bridge does not fit the installed executorch",
            found=f"executorch {installed}",
            expected=f"executorch {EXECUTORCH_VERSION}",
            hint="Reinstall etcoreml beside this executorch, in a clone of it: "
            "pip install --force-reinstall --no-deps --no-build-isolation .",
        )
    try:
        from etcoreml import _native
    except ImportError as error:
        raise BridgeError(f"the native bridge cannot be loaded: {error}") from error
    return _native


def _release(version: str) -> str:
    """Return the version without a local label: wheels of one release share their ABI."""
    return version.partition("+")[0]


def _init(*arguments: Any) -> Any:
    from etcoreml.runtime.delegate import init

    return init(*arguments)


def _record(exception: BaseException) -> tuple[int, str]:
    from etcoreml.runtime.faults import record

    return record(exception)
