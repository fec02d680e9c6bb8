"""What exists when a lowering begins is left out of Python's search for garbage.

To look through all of torch once takes longer than to lower a small network, and Python does so
several times. While a block is under way, only what was made since its beginning is looked at.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_LOCK = threading.RLock()  # a block may be ended by the search for garbage itself
_blocks = 0
_frozen = False


@contextlib.contextmanager
def only_new_garbage() -> Iterator[None]:
    """Look for garbage among what is made in the block, also by other threads.

    Blocks within blocks change nothing, nor do those of a process that froze objects itself
    (``gc.freeze``) or does not look for garbage.
    """
    _begin()
    try:
        yield
    finally:
        _end()


def _begin() -> None:
    global _blocks, _frozen
    with _LOCK:
        if _blocks == 0:
            _frozen = gc.isenabled() and gc.get_freeze_count() == 0
            if _frozen:
                gc.freeze()
        _blocks += 1


def _end() -> None:
    global _blocks
    with _LOCK:
        _blocks -= 1
        if _blocks == 0 and _frozen:
            gc.freeze()  # sets the counters to zero: what survived is not looked at right away
            gc.unfreeze()
