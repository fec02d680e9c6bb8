"""Folders on disk: mapped, bounded, and closed to links that lead out. Oracle: the file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etcoreml.errors import PackageError
from etcoreml.mapped import MappedFile
from etcoreml.mil import files
from etcoreml.mil.files import map_file, open_directory

LARGE = 1 << 18


def folder(path: Path) -> Path:
    (path / "weights").mkdir(parents=True)
    (path / "weights" / "weight.bin").write_bytes(b"w" * LARGE)
    (path / "model.mil").write_bytes(b"program")
    return path


def test_large_files_are_mapped(tmp_path: Path) -> None:
    found = open_directory(folder(tmp_path / "m.mlmodelc"))
    assert found.name == "m.mlmodelc"
    assert bytes(found.read("model.mil")) == b"program"
    assert isinstance(found.read("weights/weight.bin").obj, MappedFile)


def test_single_files_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(b"data")
    assert isinstance(map_file(path).obj, MappedFile)
    assert bytes(map_file(path)) == b"data"
    path.write_bytes(b"")
    assert bytes(map_file(path)) == b""
    with pytest.raises(PackageError, match=r"other\.mlmodel.*cannot be read"):
        map_file(tmp_path / "other.mlmodel")


def test_links_inside_are_followed_and_links_out_are_not(tmp_path: Path) -> None:
    path = folder(tmp_path / "m.mlmodelc")
    (path / "again.bin").symlink_to("weights/weight.bin")
    (path / "more").symlink_to("weights")
    found = open_directory(path)
    assert found.read("again.bin").nbytes == found.read("more/weight.bin").nbytes == LARGE
    secret = tmp_path / "secret"
    secret.write_bytes(b"s")
    (path / "out").symlink_to(secret)
    with pytest.raises(PackageError, match="leads out of it; found out ->") as caught:
        open_directory(path)
    assert "cp -rL" in str(caught.value.hint)
    (path / "out").unlink()
    (path / "up").symlink_to("..")
    with pytest.raises(PackageError, match="leads out of it"):
        open_directory(path)


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    folder(tmp_path / "real")
    (tmp_path / "m.mlmodelc").symlink_to("real")
    assert open_directory(tmp_path / "m.mlmodelc").read("weights/weight.bin").nbytes == LARGE


def test_a_cache_of_blobs_is_followed(tmp_path: Path) -> None:
    """Hugging Face's client keeps snapshots of links to blobs."""
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0123").write_bytes(b"w" * LARGE)
    path = tmp_path / "models--a--b" / "snapshots" / "rev" / "m.mlmodelc"
    path.mkdir(parents=True)
    (path / "weight.bin").symlink_to("../../../blobs/0123")
    assert open_directory(path).read("weight.bin").nbytes == LARGE
    (tmp_path / "outside").write_bytes(b"s")
    (path / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(PackageError, match="leads out"):
        open_directory(path)


def test_loops_and_broken_links_and_special_files(tmp_path: Path) -> None:
    path = folder(tmp_path / "m.mlmodelc")
    (path / "loop").symlink_to(".")
    with pytest.raises(PackageError, match="cannot be read"):
        open_directory(path)
    (path / "loop").unlink()
    (path / "broken").symlink_to("nowhere")
    with pytest.raises(PackageError, match="cannot be read"):
        open_directory(path)
    (path / "broken").unlink()
    os.mkfifo(path / "pipe")
    with pytest.raises(PackageError, match="cannot be read"):
        open_directory(path)


def test_folders_with_too_much_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "m.mlmodelc")
    monkeypatch.setattr(files, "MAX_ENTRIES", 2)
    with pytest.raises(PackageError, match="more than 2 files"):
        open_directory(path)
