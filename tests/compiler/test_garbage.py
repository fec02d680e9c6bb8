"""Garbage is looked for among what is new, and everywhere again afterwards.

Oracle: Python's own ``gc`` module.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from etcoreml.compiler.garbage import only_new_garbage


class Ring:
    """An object that only the search for garbage finds to be one."""

    def __init__(self) -> None:
        self.ring = self


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    gc.collect()  # ends the blocks of programs that other tests left behind
    assert gc.get_freeze_count() == 0
    yield
    gc.enable()
    gc.unfreeze()


def _dropped() -> weakref.ref[Ring]:
    return weakref.ref(Ring())


def test_new_garbage_is_found_and_old_later() -> None:
    gc.disable()  # until the old ring is garbage that is not found yet
    old = _dropped()
    gc.enable()
    with only_new_garbage():
        new = _dropped()
        gc.collect()
        assert new() is None
        assert old() is not None
    gc.collect()
    assert old() is None


def test_the_outermost_block_counts() -> None:
    with only_new_garbage():
        frozen = gc.get_freeze_count()
        assert frozen > 0
        made = _dropped()
        with only_new_garbage():
            gc.collect()
        assert made() is None
        assert gc.get_freeze_count() <= frozen
    assert gc.get_freeze_count() == 0


def test_a_block_that_raises_ends() -> None:
    with pytest.raises(ZeroDivisionError), only_new_garbage():
        raise ZeroDivisionError
    assert gc.get_freeze_count() == 0


def test_what_was_made_in_a_block_is_not_looked_at_right_after() -> None:
    with only_new_garbage():
        kept = [Ring() for _ in range(100_000)]
        assert any(gc.get_count()[1:])
    assert gc.get_count()[1:] == (0, 0)
    assert kept


def test_who_froze_objects_keeps_them_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    made = [Ring()]
    with only_new_garbage():
        assert gc.get_freeze_count() <= frozen
    assert 0 < gc.get_freeze_count() <= frozen
    assert any(each is made for each in gc.get_objects())


def test_who_looks_for_no_garbage_freezes_nothing() -> None:
    gc.disable()
    with only_new_garbage():
        assert gc.get_freeze_count() == 0
    assert not gc.isenabled()
