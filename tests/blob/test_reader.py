"""The reader on valid blobs, ours and the variants others write; hostile ones are in hostile/."""

import json
import mmap
from pathlib import Path

import numpy as np
import pytest

from etcoreml.blob import MAX_METADATA_NBYTES, Directory, read_blob, write_blob
from etcoreml.errors import BlobFooterError, BlobMetadataSizeError


def file(name: str, offset: int, size: int, **more: object) -> dict[str, object]:
    region = {"offset": offset, "size": size}
    return {"children": {}, "dataRegion": region, "kind": 0, "name": name, **more}


def directory(name: str, **children: int) -> dict[str, object]:
    region = {"offset": 0, "size": 0}
    return {"children": children, "dataRegion": region, "kind": 1, "name": name}


def metadata(*nodes: dict[str, object], **more: object) -> bytes:
    return json.dumps({"nodes": nodes, **more}).encode()[::-1]


def test_files_are_views_into_the_blob() -> None:
    blob = bytearray(write_blob(Directory.from_mapping("r", {"a": b"12", "b": {"c": b"345"}})))
    tree = read_blob(blob)
    assert tree.read("b/c").readonly
    assert np.shares_memory(
        np.frombuffer(tree.read("b/c"), np.uint8), np.frombuffer(blob, np.uint8)
    )
    blob[:2] = b"XY"
    assert tree.read("a") == b"XY"


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, "u1")])
def test_any_buffer_is_read(wrap, model_tree: Directory) -> None:
    assert read_blob(wrap(write_blob(model_tree))) == model_tree


def test_a_mapped_file_is_read(tmp_path: Path, model_tree: Directory) -> None:
    (tmp_path / "blob").write_bytes(write_blob(model_tree))
    with (tmp_path / "blob").open("rb") as stream:
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    assert read_blob(mapping) == model_tree


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 200_000, b" \n\0\t\r\v\f\0"])
def test_padding_behind_the_metadata_is_skipped(padding: bytes, model_tree: Directory) -> None:
    assert read_blob(write_blob(model_tree) + padding) == model_tree


def test_offsets_decide_not_the_order_of_nodes() -> None:
    # Above 1 GiB upstream aligns addresses: the first offset is 4064 and NULs follow the metadata.
    data = bytes(4064) + b"AAA" + bytes(4093) + b"BB" + bytes(7)
    blob = data + metadata(file("a", 8160, 2), file("b", 4064, 3), directory("r", b=1, a=0))
    tree = read_blob(blob + bytes(64))
    assert {path: bytes(f.data) for path, f in tree.walk()} == {"a": b"BB", "b": b"AAA"}


def test_empty_files_are_read_wherever_they_lie() -> None:
    nodes = (file("a", 0, 0), file("b", 0, 2), file("c", 1, 0), file("d", 2, 0))
    tree = read_blob(b"12" + metadata(*nodes, directory("r", a=0, b=1, c=2, d=3)))
    assert [file.nbytes for _, file in tree.walk()] == [0, 2, 0, 0]


def test_unknown_keys_are_ignored() -> None:
    node = file("a", 0, 1, modified=1.5e9, tags=[None, {"x": -1}])
    assert read_blob(b"1" + metadata(node, directory("r", a=0), version=2)).read("a") == b"1"


@pytest.mark.parametrize("ascii_only", [True, False])
def test_names_may_be_escaped_or_utf8(ascii_only: bool) -> None:
    name = 'é\U0001f600"{}[]\n'
    document = {"nodes": [file(name, 0, 1), directory("r", **{name: 0})]}
    encoded = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert read_blob(b"1" + encoded[::-1]).read(name) == b"1"


@pytest.mark.parametrize("data", [b"", b"\xff" * 9, b'"' * 70_000, b'}"' * 40_000, b"{" * 70_000])
def test_data_before_the_metadata_does_not_matter(data: bytes) -> None:
    blob = data + metadata(file("a", 0, len(data)), directory("r", a=0))
    assert read_blob(blob).read("a") == data


def metadata_of(nbytes: int) -> bytes:
    document = metadata(file("a", 0, 1), directory("r", a=0), filler="")
    return document.replace(b'""', b'"' + b"x" * (nbytes - len(document)) + b'"')


@pytest.mark.parametrize("nbytes", [65_535, 65_536, 65_537, 1 << 20, MAX_METADATA_NBYTES])
def test_metadata_may_be_long(nbytes: int) -> None:
    blob = b"1" + metadata_of(nbytes) + bytes(5)
    assert len(blob) == nbytes + 6
    assert read_blob(blob).read("a") == b"1"


def test_metadata_longer_than_apple_reads_is_refused() -> None:
    with pytest.raises(BlobMetadataSizeError):
        read_blob(b"1" + metadata_of(MAX_METADATA_NBYTES + 1))


def test_many_files_are_read() -> None:
    content = {f"{index}": index.to_bytes(4, "little") for index in range(20_000)}
    tree = Directory.from_mapping("r", content)
    assert read_blob(write_blob(tree)) == tree


def test_a_reference_is_named_in_the_hint() -> None:
    with pytest.raises(BlobFooterError, match="read_reference"):
        read_blob(b'CMJR{"key": "k"}')
