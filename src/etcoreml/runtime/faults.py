"""Exceptions raised inside the delegate, kept for whoever called the runtime.

ExecuTorch's runtime reports failures as numbers: ``method->execute() failed with error 0x12``. The
bridge hands each Python exception to `record`, and the caller's side takes it with `take` to
raise it with its own message and cause. One slot per thread: a thread runs one method at a time.
"""

from __future__ import annotations

import sys
import threading
import traceback

from etcoreml.errors import DelegateError, EtCoreMLError

# Values of executorch 1.5.1 runtime/core/error.h.
_INTERNAL = 0x01
_NOT_SUPPORTED = 0x10
_INVALID_ARGUMENT = 0x12
_MEMORY_ALLOCATION_FAILED = 0x21

_slot = threading.local()


def record(exception: BaseException) -> tuple[int, str]:
    """Keep an exception for the calling thread.

    Args:
        exception: What the delegate raised. OpenVINO's own, of a run that failed, becomes the
            `EngineError` that ``MLModel`` would raise. Any other that is not one of etcoreml's own
            is a defect of ours and is wrapped in a `DelegateError` that carries its traceback as
            text.

    Returns:
        ExecuTorch's error code, and the message to log.
    """
    from etcoreml.engine.session import is_run_failure, run_failure  # loaded by what failed

    failed_run = is_run_failure(exception)
    if failed_run:
        kept: BaseException = run_failure("the delegate failed while it ran", exception)
        kept.__cause__ = exception
    elif isinstance(exception, EtCoreMLError):
        kept = exception
    elif isinstance(exception, Exception):
        kept = DelegateError(
            f"the delegate failed: {type(exception).__name__}: {exception}",
            hint="This is a defect of etcoreml: please report it with the notes of this error.",
        )
        if sys.version_info >= (3, 11):
            kept.add_note("".join(traceback.format_exception(exception)).rstrip())
        kept.__cause__ = exception
    else:
        kept = exception
    _drop_frames(kept)
    _slot.exception = kept
    if isinstance(exception, MemoryError):
        code = _MEMORY_ALLOCATION_FAILED
    elif isinstance(exception, NotImplementedError):
        code = _NOT_SUPPORTED
    elif failed_run or isinstance(exception, EtCoreMLError):
        code = _INVALID_ARGUMENT
    else:
        code = _INTERNAL
    return code, f"{type(kept).__name__}: {kept}"


def last_error() -> BaseException | None:
    """Return what the delegate raised last in the calling thread, or None.

    For users of the stock runtime, which reports a number. A call through `etcoreml.load` raises
    the exception itself and forgets it.
    """
    exception: BaseException | None = getattr(_slot, "exception", None)
    return exception


def take() -> BaseException | None:
    """Return the calling thread's last exception and forget it."""
    exception: BaseException | None = getattr(_slot, "exception", None)
    _slot.exception = None
    return exception


def _drop_frames(exception: BaseException) -> None:
    """Remove tracebacks along the chain: their frames would pin the call's arguments."""
    seen: set[int] = set()
    current: BaseException | None = exception
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        current.__traceback__ = None
        if current.__cause__ is not None and current.__context__ is not None:
            current.__context__.__traceback__ = None
        current = current.__cause__ or current.__context__
