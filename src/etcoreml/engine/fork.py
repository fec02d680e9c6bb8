"""OpenVINO across ``os.fork()``.

Measured with OpenVINO 2026.4 on Linux, convolutions large enough to use every thread:

* A compiled model and its requests keep working in the child, with the same numbers. The thread
  pool does not survive, so the child computes on one thread, whatever the parent used; compiling
  anew in the child does not bring threads back, and compiling with the parent's ``Core`` hangs.
* Destroying the parent's objects while the child exits waits for threads that do not exist: the
  process hangs, or aborts with ``std::system_error``.

So a child keeps what it inherited, compiles new models with a ``Core`` of its own, and never
destroys any of it: the operating system takes it all back when the process ends.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import weakref
from typing import Any

import openvino as ov

from etcoreml.engine.kernels import register

_holders: weakref.WeakSet[Any] = weakref.WeakSet()
_core: list[ov.Core] = []
_is_child = False


def core() -> ov.Core:
    """Return the process's OpenVINO core; it is expensive to make and holds the device plugins."""
    if not _core:
        made = ov.Core()
        register(made)
        _core.append(made)
    return _core[0]


def protect(holder: object) -> None:
    """Keep ``holder``, which owns OpenVINO objects, alive until the end of a forked child."""
    _holders.add(holder)


def is_child() -> bool:
    """Whether this process was forked by one that had loaded OpenVINO."""
    return _is_child


def _pin_all() -> None:
    for holder in (*_holders, *_core):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(holder))


def _after_fork() -> None:
    global _is_child
    _is_child = True
    _pin_all()
    _core.clear()


@atexit.register
def _at_exit() -> None:
    if _is_child:
        _pin_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
