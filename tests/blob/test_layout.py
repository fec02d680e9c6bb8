"""Trees; the oracle is the file system and the mapping a tree was built from."""

import os
from pathlib import Path

import numpy as np
import pytest

from etcoreml.blob import MAX_DEPTH, MAX_NAME_NBYTES, Directory, File
from etcoreml.errors import BlobCycleError, BlobNameError, BlobPathError, BlobSchemaError


def nested(levels: int) -> dict[str, object]:
    content: dict[str, object] = {}
    for _ in range(levels - 1):
        content = {"d": content}
    return content


def test_read_and_find_by_path() -> None:
    tree = Directory.from_mapping("r", {"a": {"b": {"c": b"data"}}, "e": {}})
    assert tree.read("a/b/c") == b"data"
    assert tree.find("a/b/c") == File("c", memoryview(b"data"))
    assert isinstance(tree.find("a/b"), Directory)
    for path in ("", "x", "a/x", "a/b/c/d", "/a", "a/", "a//b", "./a", "a/../a"):
        assert tree.find(path) is None, path
        with pytest.raises(BlobPathError, match="nothing of that name"):
            tree.read(path)
    with pytest.raises(BlobPathError, match="a directory"):
        tree.read("a/b")


def test_walk_is_sorted_by_path() -> None:
    tree = Directory.from_mapping(
        "r", {"b": b"1", "a": {"z": b"2", "c": {"d": b"3"}}, "a.txt": b"4", "a0": b"5", "e": {}}
    )
    paths = [path for path, _ in tree.walk()]
    assert paths == ["a.txt", "a/c/d", "a/z", "a0", "b"] == sorted(paths)
    assert all(tree.read(path) is file.data for path, file in tree.walk())


def test_nbytes_and_depth_add_up() -> None:
    tree = Directory.from_mapping("r", {"a": {"b": b"12"}, "c": b"345", "d": {"e": {}}})
    assert (tree.nbytes, tree.depth) == (5, 3)
    empty = Directory("r", {})
    assert (empty.nbytes, empty.depth) == (0, 1)


def test_contents_are_viewed_and_read_only() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tree = Directory.from_mapping("r", {"w": array, "none": np.empty((0, 4))})
    view = tree.read("w")
    assert view.readonly
    assert np.shares_memory(np.frombuffer(view, np.float32), array)
    assert tree.read("none") == b""


def test_contents_must_be_contiguous_bytes() -> None:
    with pytest.raises(TypeError):
        Directory.from_mapping("r", {"w": np.zeros((4, 4))[:, ::2]})


def test_from_mapping_files_nodes_under_their_key() -> None:
    part = Directory.from_mapping("original", {"f": b"1"})
    tree = Directory.from_mapping("r", {"d": part, "g": File("original", memoryview(b"2"))})
    assert tree == Directory.from_mapping("r", {"d": {"f": b"1"}, "g": b"2"})


def test_trees_are_equal_by_value() -> None:
    tree = Directory.from_mapping("r", {"a": {"b": b"1"}, "c": b"2"})
    same = Directory.from_mapping("r", {"c": b"2", "a": {"b": bytearray(b"1")}})
    assert tree == same
    assert hash(tree) == hash(same)
    for other in ({"a": {"b": b"2"}, "c": b"2"}, {"a": {}, "c": b"2"}, {"a": b"1", "c": b"2"}):
        assert tree != Directory.from_mapping("r", other)
    assert tree != Directory.from_mapping("s", {"a": {"b": b"1"}, "c": b"2"})
    assert tree != "r"
    assert repr(tree) == "Directory(name='r', children=['a', 'c'])"


def test_children_cannot_be_changed() -> None:
    children = {"a": File("a", memoryview(b"1"))}
    tree = Directory("r", children)
    del children["a"]
    assert list(tree.children) == ["a"]
    with pytest.raises(TypeError):
        tree.children["b"] = tree.children["a"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a\0", "\ud800", "x" * (MAX_NAME_NBYTES + 1), "é" * 128]
)
def test_illegal_names_are_refused(name: str) -> None:
    with pytest.raises(BlobNameError):
        File(name, memoryview(b"1"))
    with pytest.raises(BlobNameError):
        Directory(name, {})
    with pytest.raises(BlobNameError):
        Directory.from_mapping("r", {name: {}})


@pytest.mark.parametrize("name", ["...", " ", "a b", "x" * MAX_NAME_NBYTES, "é" * 127, "\x7f"])
def test_unusual_names_are_legal(name: str) -> None:
    assert Directory.from_mapping("r", {name: b"1"}).read(name) == b"1"


def test_a_child_has_the_name_of_its_key() -> None:
    with pytest.raises(BlobNameError, match="filed under another name"):
        Directory("r", {"a": File("b", memoryview(b"1"))})


def test_depth_is_bounded() -> None:
    deepest = Directory.from_mapping("r", nested(MAX_DEPTH))
    assert deepest.depth == MAX_DEPTH
    assert deepest == Directory.from_mapping("r", nested(MAX_DEPTH))
    assert list(deepest.walk()) == []
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(BlobSchemaError, match="too deep"):
            Directory.from_mapping("r", nested(levels))
    with pytest.raises(BlobSchemaError, match="too deep"):
        Directory("r", {"r": Directory("r", deepest.children)})


def test_disk_round_trip(tmp_path: Path, model_tree: Directory) -> None:
    model_tree.extract(tmp_path / "out")
    written = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == {path: bytes(file.data) for path, file in model_tree.walk()}
    assert (tmp_path / "out" / "empty directory").is_dir()
    assert Directory.from_path(tmp_path / "out") == model_tree
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208


def test_from_path_maps_large_files(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1 << 20)
    (tmp_path / "large").write_bytes(content)
    (tmp_path / "empty").touch()
    tree = Directory.from_path(tmp_path, "r")
    assert type(tree.read("large").obj).__name__ == "MappedFile"
    assert tree.read("large") == content
    assert tree.read("empty") == b""
    assert tree.name == "r"
    (tmp_path / "large").unlink()
    assert tree.read("large") == content


def test_from_path_follows_links_and_keeps_their_names(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "hash").write_bytes(b"1")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "file").symlink_to(tmp_path / "store" / "hash")
    (tmp_path / "r" / "directory").symlink_to(tmp_path / "store")
    expected = {"file": b"1", "directory": {"hash": b"1"}}
    assert Directory.from_path(tmp_path / "r", "r") == Directory.from_mapping("r", expected)


def test_from_path_refuses_what_a_blob_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(BlobPathError, match="missing"):
        Directory.from_path(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(BlobPathError):
        Directory.from_path(tmp_path / "file")
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "link").symlink_to("nowhere")
    with pytest.raises(BlobPathError, match="broken link"):
        Directory.from_path(tmp_path / "dangling")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "self").symlink_to(tmp_path / "loop")
    with pytest.raises(BlobCycleError):
        Directory.from_path(tmp_path / "loop")
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "a\\b").touch()
    with pytest.raises(BlobNameError):
        Directory.from_path(tmp_path / "names")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_from_path_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BlobPathError, match="special file"):
        Directory.from_path(tmp_path)


def test_extract_does_not_overwrite(tmp_path: Path, model_tree: Directory) -> None:
    for make in (Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")):
        destination = tmp_path / "out"
        make(destination)
        with pytest.raises(BlobPathError, match="does not exist"):
            model_tree.extract(destination)
        assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208
        destination.rmdir() if destination.is_dir() else destination.unlink()


def test_extract_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    # Together the names exceed what one path may hold.
    content: dict[str, object] = {"f": b"1"}
    for _ in range(30):
        content = {"x" * MAX_NAME_NBYTES: content}
    with pytest.raises(BlobPathError, match="cannot extract"):
        Directory.from_mapping("r", content).extract(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BlobPathError):
        Directory("r", {}).extract(tmp_path / "missing" / "out")
    assert list(tmp_path.iterdir()) == []


def test_chunks_are_the_bytes_in_order(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes((1 << 24) + 1234)
    (tmp_path / "weights").write_bytes(data)
    mapped = Directory.from_path(tmp_path, "d").children["weights"]
    assert isinstance(mapped, File)
    for file in (mapped, File("weights", memoryview(data))):
        pieces = [bytes(piece) for piece in file.chunks()]
        assert b"".join(pieces) == data
        assert len(pieces) == 2
