"""The writer; the oracle is a blob written out by hand, and the reader."""

import json

import pytest

from etcoreml.blob import Directory, read_blob, write_blob
from etcoreml.errors import (
    BlobEmptyFileError,
    BlobMetadataSizeError,
    BlobReferenceError,
    UsageError,
)


def test_bytes_of_a_small_blob() -> None:
    tree = Directory.from_mapping("r", {"b": b"12", "a": {"c": b"345"}})
    nodes = (
        '{"nodes":['
        '{"children":{},"dataRegion":{"offset":0,"size":3},"kind":0,"name":"c"},'
        '{"children":{"c":0},"dataRegion":{"offset":0,"size":0},"kind":1,"name":"a"},'
        '{"children":{},"dataRegion":{"offset":4,"size":2},"kind":0,"name":"b"},'
        '{"children":{"a":1,"b":2},"dataRegion":{"offset":0,"size":0},"kind":1,"name":"r"}'
        "]}"
    )
    assert write_blob(tree, alignment=4) == b"345\x0012\0\0" + nodes.encode()[::-1]


def test_equal_trees_give_equal_bytes() -> None:
    one = Directory.from_mapping("r", {"a": b"1", "b": {"c": b"2", "d": b"3"}})
    two = Directory.from_mapping("r", {"b": {"d": b"3", "c": b"2"}, "a": bytearray(b"1")})
    assert write_blob(one) == write_blob(two)


@pytest.mark.parametrize("alignment", [1, 2, 7, 64, 4096])
@pytest.mark.parametrize("seed", range(12))
def test_random_trees_round_trip(random_tree, seed: int, alignment: int) -> None:
    tree = random_tree(seed)
    blob = write_blob(tree, alignment=alignment)
    result = read_blob(blob)
    assert result == tree
    assert read_blob(blob + bytes(seed * 11)) == tree
    assert write_blob(result, alignment=alignment) == blob


def test_every_file_is_aligned(model_tree: Directory) -> None:
    blob = write_blob(model_tree, alignment=64)
    nodes, nbytes = json.JSONDecoder().raw_decode(blob[::-1].decode("latin-1"))
    assert {node["dataRegion"]["offset"] % 64 for node in nodes["nodes"]} == {0}
    assert (len(blob) - nbytes) % 64 == 0


def test_one_directory_may_stand_in_two_places() -> None:
    part = Directory.from_mapping("d", {"f": b"1"})
    tree = Directory.from_mapping("r", {"a": part, "b": part, "d": part})
    assert read_blob(write_blob(tree)) == tree


def test_the_smallest_tree() -> None:
    blob = write_blob(Directory("r", {}), alignment=64)
    assert read_blob(blob) == Directory("r", {})


def test_quotes_are_not_escaped_with_a_backslash() -> None:
    # Apple's reader loses count of braces when its 512-byte chunks part a backslash and a quote.
    tree = Directory.from_mapping("r", {'"' * 200: b"1"})
    blob = write_blob(tree)
    assert b'"\\' not in blob
    assert read_blob(blob) == tree


@pytest.mark.parametrize("content", [{"a": {"empty": b""}}, {"x": b"1", "a": {"empty": b""}}])
def test_empty_files_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(BlobEmptyFileError, match="a/empty"):
        write_blob(Directory.from_mapping("r", content))


@pytest.mark.parametrize("content", [{"a": b"CMJR"}, {"a": b"CM", "b": b"JRx"}])
def test_a_blob_that_looks_like_a_reference_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(BlobReferenceError):
        write_blob(Directory.from_mapping("r", content))


def test_metadata_that_apple_cannot_read_is_refused() -> None:
    # Each name stands twice.
    content = {f"{index:05}" + "x" * 200: b"1" for index in range(25_000)}
    with pytest.raises(BlobMetadataSizeError, match="25001 nodes"):
        write_blob(Directory.from_mapping("r", content))


@pytest.mark.parametrize("alignment", [0, -1])
def test_alignment_is_positive(alignment: int) -> None:
    with pytest.raises(UsageError):
        write_blob(Directory("r", {}), alignment=alignment)
