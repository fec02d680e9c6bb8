"""Keys of the model cache: equal only where the compiled model is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from etcoreml.engine import cache_key as module
from etcoreml.engine.cache_key import cache_key
from etcoreml.mapped import MappedFile
from etcoreml.mil.program import MilProgram

PROGRAM = MilProgram({}, "main", 8, sources={"": memoryview(b"spec"), "w": memoryview(b"weights")})


def key(program: MilProgram = PROGRAM, options: tuple[object, ...] = ("main", "fast")) -> str:
    def never(name: str, compute: Callable[[], str]) -> str:
        return pytest.fail("bytes in memory have no identity")

    return cache_key(program, options, never)


def test_equal_programs_have_equal_keys() -> None:
    again = {"w": memoryview(bytearray(b"weights")), "": memoryview(bytearray(b"spec"))}
    assert key(replace(PROGRAM, sources=again)) == key()


@pytest.mark.parametrize(
    "sources",
    [
        {"": b"spec"},
        {"": b"spec", "w": b"weightt"},
        {"": b"spec", "v": b"weights"},
        {"": b"weights", "w": b"spec"},
        {"": b"specw", "w": b"eights"},
    ],
)
def test_other_sources(sources: dict[str, bytes]) -> None:
    other = {name: memoryview(data) for name, data in sources.items()}
    assert key(replace(PROGRAM, sources=other)) != key()


def test_other_circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [key(), key(options=("main", "faithful")), key(options=("other", "fast"))]
    monkeypatch.setattr(module.ov, "get_version", lambda: "2099.1")
    keys.append(key())
    monkeypatch.setattr(module, "_code", lambda: "edited")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_only_files_that_have_settled_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"content" * 20_000)
    asked: list[str] = []

    def remembered(name: str, compute: Callable[[], str]) -> str:
        asked.append(name)
        return compute()

    def program() -> MilProgram:
        return replace(PROGRAM, sources={"w": memoryview(MappedFile.open(path))})

    fresh = cache_key(program(), (), remembered)
    assert asked == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SETTLED_NS", -(10**18))
        assert cache_key(program(), (), remembered) == fresh
        path.write_bytes(b"Content" * 20_000)
        os.utime(path, (1, 1))
        assert cache_key(program(), (), remembered) != fresh
    assert len(set(asked)) == 2
