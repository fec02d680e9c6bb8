"""Exceptions kept for the caller.

Oracle: the codes of executorch 1.5.1's runtime/core/error.h.
"""

from __future__ import annotations

import sys
import threading
import weakref

import pytest

from etcoreml.errors import (
    BlobFooterError,
    DelegateError,
    EngineError,
    FullGraphError,
    ShapeError,
)
from etcoreml.runtime import faults

INTERNAL, NOT_SUPPORTED, INVALID_ARGUMENT, MEMORY_ALLOCATION_FAILED = 0x01, 0x10, 0x12, 0x21


def raised(exception: BaseException) -> BaseException:
    """Give an exception the traceback of having been raised."""
    with pytest.raises(type(exception)):
        raise exception
    return exception


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (BlobFooterError("bad footer"), INVALID_ARGUMENT),
        (ShapeError("tensor", found=(1,), expected=(2,)), INVALID_ARGUMENT),
        (FullGraphError("not here"), NOT_SUPPORTED),  # also a NotImplementedError
        (MemoryError("big"), MEMORY_ALLOCATION_FAILED),
        (NotImplementedError("later"), NOT_SUPPORTED),
        (ZeroDivisionError("oops"), INTERNAL),
        (KeyboardInterrupt(), INTERNAL),
        (SystemExit(3), INTERNAL),
    ],
)
def test_codes(exception: BaseException, code: int) -> None:
    assert faults.record(raised(exception))[0] == code
    assert faults.take() is not None


def test_own_errors_are_kept_as_they_are() -> None:
    cause = ValueError("deep")
    error = ShapeError("tensor 'x'", found=(1,), expected=(2,), hint="Reshape it.")
    error.__cause__ = cause
    _, message = faults.record(raised(error))
    expected = "ShapeError: tensor 'x'; found (1,); expected (2,)\nHint: Reshape it."
    assert message == expected
    kept = faults.take()
    assert kept is error
    assert kept.__cause__ is cause


def test_interrupts_are_kept_as_they_are() -> None:
    interrupt = KeyboardInterrupt()
    faults.record(raised(interrupt))
    assert faults.take() is interrupt


def test_defects_are_wrapped_with_their_traceback() -> None:
    defect = raised(KeyError("name"))
    faults.record(defect)
    kept = faults.take()
    assert isinstance(kept, DelegateError)
    assert kept.__cause__ is defect
    assert "KeyError: 'name'" in str(kept)
    assert "defect of etcoreml" in str(kept)
    if sys.version_info >= (3, 11):
        assert "in raised" in kept.__notes__[0]  # the function the traceback went through


def test_a_run_that_failed_is_worded_as_by_the_engine() -> None:
    """No defect of ours: an index out of range, say. The text is one of OpenVINO's."""
    text = (
        "Exception from src/inference/src/cpp/infer_request.cpp:224:\n"
        "Exception from src/plugins/intel_cpu/src/node.cpp:900:\n"
        "Node gather_0/validate_indices of type GatherElements\n"
        "indices values of GatherElement exceed data size\n"
    )
    error = raised(RuntimeError(text))
    code, message = faults.record(error)
    kept = faults.take()
    assert code == INVALID_ARGUMENT
    assert type(kept) is EngineError
    assert kept.__cause__ is error
    assert "Node gather_0/validate_indices" in message
    assert "An index may be out of range" in message
    assert "defect" not in message


def test_a_run_out_of_memory_says_so() -> None:
    faults.record(raised(RuntimeError("Exception from src/a.cpp:1:\nstd::bad_alloc\n")))
    assert "too little memory" in str(faults.take())


def test_taking_forgets() -> None:
    faults.record(ShapeError("x"))
    assert faults.take() is not None
    assert faults.take() is None


def test_the_last_one_counts() -> None:
    first, second = ShapeError("first"), ShapeError("second")
    faults.record(first)
    faults.record(second)
    assert faults.take() is second


def test_frames_are_dropped_along_the_chain() -> None:
    class Argument:
        pass

    def fail() -> None:
        argument = Argument()
        nonlocal reference
        reference = weakref.ref(argument)
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise ShapeError("outer") from error

    reference: weakref.ref[Argument] | None = None
    try:
        fail()
    except ShapeError as error:
        faults.record(error)
    assert reference is not None
    assert reference() is None  # no frame holds the argument any more
    kept = faults.take()
    assert kept is not None
    assert kept.__traceback__ is None
    assert kept.__cause__ is not None
    assert kept.__cause__.__traceback__ is None


def test_a_circular_chain_ends() -> None:
    first, second = ShapeError("a"), ShapeError("b")
    first.__context__, second.__context__ = second, first
    faults.record(first)
    assert faults.take() is first


def test_each_thread_has_its_own() -> None:
    faults.record(ShapeError("of this thread"))
    seen: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: seen.append(faults.take()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert faults.take() is not None
