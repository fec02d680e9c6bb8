"""Purging the model cache. Oracle: the file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import etcoreml
from etcoreml.engine import compile_function
from etcoreml.engine.cache import ENVIRONMENT
from etcoreml.errors import UsageError
from etcoreml.runtime.model_cache import purge_models_cache
from tests.engine.cached import X, everything_is_worth_caching, program, same


@pytest.fixture(autouse=True)
def _worth() -> Iterator[None]:
    with everything_is_worth_caching():
        yield


def test_compiled_models_go_and_nothing_else(tmp_path: Path) -> None:
    compile_function(program(), cache_dir=tmp_path)
    (entry,) = tmp_path.iterdir()
    (tmp_path / "notes.txt").touch()
    abandoned = tmp_path / ".etcoreml-building-abandone"
    abandoned.mkdir()
    os.utime(abandoned, (1000, 1000))
    size = entry.stat().st_size
    assert purge_models_cache(tmp_path) == size
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_loaded_models_survive(tmp_path: Path) -> None:
    made = program()
    first = compile_function(made, cache_dir=tmp_path)
    second = compile_function(made, cache_dir=tmp_path)
    purge_models_cache(tmp_path)
    expected = compile_function(made).run({"x": X})
    assert same(first.run({"x": X}), expected)
    assert same(second.run({"x": X}), expected)


def test_nothing_to_purge(tmp_path: Path) -> None:
    assert purge_models_cache(tmp_path) == 0
    assert purge_models_cache(tmp_path / "none") == 0
    assert purge_models_cache() == 0  # tests/conftest.py switches the cache off


def test_the_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    compile_function(program())
    assert etcoreml.purge_models_cache() > 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot purge"):
        purge_models_cache(tmp_path / "file")
