"""Files and folders are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from etcoreml.atomic import make_folder_atomic, replace_atomic, write_atomic
from etcoreml.errors import UsageError


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        write_atomic(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", lambda file: file.write(b"x"))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_atomic(path, write)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_named(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="file': No space left on device"):
        write_atomic(tmp_path / "file", write)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        write_atomic(tmp_path / "missing" / "file", lambda file: None)
    with pytest.raises(UsageError, match="Is a directory"):
        write_atomic(tmp_path, lambda file: None)


def test_a_folder_takes_its_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)  # as long as a name may be
    path.mkdir()
    before = os.umask(0o027)
    try:
        with make_folder_atomic(path) as folder:
            (folder / "file").write_text("new")
            assert list(path.iterdir()) == []
    finally:
        os.umask(before)
    assert (path / "file").read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o750
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_folder_that_fails_is_not_made(tmp_path: Path, error: BaseException) -> None:
    def make() -> None:
        with make_folder_atomic(tmp_path / "folder") as folder:
            (folder / "file").touch()
            raise error

    with pytest.raises(type(error)):
        make()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("taken", "reason"), [("folder/mine", "not empty"), ("file", "Not a directory")]
)
def test_a_folder_replaces_nothing(tmp_path: Path, taken: str, reason: str) -> None:
    path = tmp_path / taken
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    folder = make_folder_atomic(tmp_path / taken.split("/")[0])
    with pytest.raises(OSError, match=reason), folder:
        pass
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def tree(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


OLD = {"a/inside": "old", "b": "old", "other": "mine"}


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    for name, text in OLD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_is_there_is_replaced_together(filled: Path) -> None:
    with replace_atomic(filled, ["a", "b", "c"]) as new:
        (new / "a").mkdir()
        (new / "a" / "else").write_text("new")
        (new / "b").write_text("new")
        (new / "c").write_text("new")
        assert tree(filled).items() >= OLD.items()
    assert tree(filled) == {"a/else": "new", "b": "new", "c": "new", "other": "mine"}
    assert sorted(each.name for each in filled.iterdir()) == ["a", "b", "c", "other"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_fails_replaces_nothing(filled: Path, error: BaseException) -> None:
    def fail() -> None:
        with replace_atomic(filled, ["a", "b"]) as new:
            (new / "a").write_text("new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert tree(filled) == OLD


def test_all_is_put_back_if_one_cannot_be_moved(filled: Path) -> None:
    """The last of them was never written, so that it cannot take its place."""

    def leave_one_out() -> None:
        with replace_atomic(filled, ["a", "c", "b"]) as new:
            (new / "a").write_text("new")
            (new / "c").write_text("new")

    with pytest.raises(FileNotFoundError):
        leave_one_out()
    assert tree(filled) == OLD
    assert sorted(each.name for each in filled.iterdir()) == ["a", "b", "other"]
