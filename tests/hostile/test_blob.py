"""Blobs that lie: each broken rule of docs/blob-format.md has its own error, and nothing else.

The oracle is the table in docs/blob-format.md; the last three tests only ask for a BlobError.
"""

import json
import random
from typing import Any

import pytest

from etcoreml.blob import MAX_DEPTH, MAX_METADATA_NBYTES, Directory, read_blob, write_blob
from etcoreml.errors import (
    BlobCycleError,
    BlobError,
    BlobFooterError,
    BlobIndexError,
    BlobMetadataSizeError,
    BlobNameError,
    BlobOverlapError,
    BlobRegionError,
    BlobSchemaError,
)

DATA = b"0123456789"


def file(name: Any = "f", offset: Any = 0, size: Any = 1, **changes: Any) -> dict[str, Any]:
    region = {"offset": offset, "size": size}
    return {"children": {}, "dataRegion": region, "kind": 0, "name": name, **changes}


def directory(name: Any = "r", children: Any = None, **changes: Any) -> dict[str, Any]:
    node = file(name, 0, 0, kind=1, children={} if children is None else children)
    return {**node, **changes}


def without(node: dict[str, Any], key: str) -> dict[str, Any]:
    return {other: value for other, value in node.items() if other != key}


def raw(text: str | bytes) -> bytes:
    return DATA + (text.encode() if isinstance(text, str) else text)[::-1]


def blob(*nodes: Any) -> bytes:
    return raw(json.dumps({"nodes": nodes}))


def chain(levels: int) -> bytes:
    inner = [
        directory("d", {"d": index} if (index := level - 1) >= 0 else {}) for level in range(levels)
    ]
    return blob(*inner)


ROOT = directory("r", {"f": 0})
LONG = "x" * 100_000
TEXT = json.dumps({"nodes": [file(), ROOT]})

HOSTILE: dict[str, tuple[type[BlobError], bytes]] = {
    # The footer: the bytes end in a reversed JSON object.
    "empty": (BlobFooterError, b""),
    "only padding": (BlobFooterError, bytes(1 << 20)),
    "only data": (BlobFooterError, DATA),
    "metadata not reversed": (BlobFooterError, DATA + TEXT.encode()),
    "array": (BlobFooterError, raw("[]")),
    "open brace": (BlobFooterError, b"{"),
    "cut at the start": (BlobFooterError, raw(TEXT)[len(DATA) + 1 :]),
    "cut in a string": (BlobFooterError, raw(TEXT)[-5:]),
    "missing comma": (BlobFooterError, raw(TEXT.replace(",", "", 1))),
    "trailing comma": (BlobFooterError, raw(TEXT.replace("}]", "},]"))),
    "single quotes": (BlobFooterError, raw(TEXT.replace('"', "'"))),
    "comment": (BlobFooterError, raw(TEXT.replace("[", "[/**/", 1))),
    "bad escape": (BlobFooterError, raw(TEXT.replace('"f"', '"\\x"'))),
    "short escape": (BlobFooterError, raw(TEXT.replace('"f"', '"\\u00"'))),
    "control character": (BlobFooterError, raw(TEXT.replace('"f"', '"\x01"'))),
    "NaN": (BlobFooterError, raw(TEXT.replace('"size": 1', '"size": NaN'))),
    "infinity": (BlobFooterError, raw(TEXT.replace('"size": 1', '"size": -Infinity'))),
    "not UTF-8": (BlobFooterError, raw(TEXT.encode().replace(b'"f"', b'"\xff"'))),
    "overlong UTF-8": (BlobFooterError, raw(TEXT.encode().replace(b'"f"', b'"\xc0\xaf"'))),
    "UTF-16": (BlobFooterError, raw(TEXT.encode("utf-16-le"))),
    "braces without end": (BlobFooterError, b"{" * (2 * MAX_METADATA_NBYTES)),
    # Its size.
    "string without end": (BlobMetadataSizeError, raw('{"' + "a" * MAX_METADATA_NBYTES)),
    "spaces without end": (BlobMetadataSizeError, raw('{"a"' + " " * MAX_METADATA_NBYTES)),
    "list without end": (BlobMetadataSizeError, raw('{"a":[' + "1," * (MAX_METADATA_NBYTES // 2))),
    # Its shape.
    "nested objects": (BlobSchemaError, raw('{"a":' * 1_000_000)),
    "nested arrays": (BlobSchemaError, raw('{"a":' + "[" * 1_000_000)),
    "no nodes key": (BlobSchemaError, raw("{}")),
    "null nodes": (BlobSchemaError, raw('{"nodes":null}')),
    "object of nodes": (BlobSchemaError, raw('{"nodes":{}}')),
    "no nodes": (BlobSchemaError, blob()),
    "node is a list": (BlobSchemaError, blob([])),
    "repeated key": (BlobSchemaError, raw('{"nodes":[],' + TEXT[1:])),
    "repeated child": (BlobSchemaError, raw(TEXT.replace('{"f": 0}', '{"f": 0, "f": 0}'))),
    "huge number": (BlobSchemaError, raw(TEXT.replace('"size": 1', '"size": ' + "9" * 5_000_000))),
    "65-bit size": (BlobSchemaError, blob(file(size=1 << 64), ROOT)),
    "negative size": (BlobSchemaError, blob(file(size=-1), ROOT)),
    "negative offset": (BlobSchemaError, blob(file(offset=-1), ROOT)),
    "negative index": (BlobSchemaError, blob(file(), directory("r", {"f": -1}))),
    "bool size": (BlobSchemaError, blob(file(size=True), ROOT)),
    "float offset": (BlobSchemaError, blob(file(offset=0.0), ROOT)),
    "exponent offset": (BlobSchemaError, raw(TEXT.replace('"size": 1', '"size": 1e0'))),
    "string offset": (BlobSchemaError, blob(file(offset="0"), ROOT)),
    "null size": (BlobSchemaError, blob(file(size=None), ROOT)),
    "region is a list": (BlobSchemaError, blob(file(dataRegion=[0, 1]), ROOT)),
    "region without size": (BlobSchemaError, blob(file(dataRegion={"offset": 0}), ROOT)),
    "children is a list": (BlobSchemaError, blob(file(), directory("r", [0]))),
    "index is a string": (BlobSchemaError, blob(file(), directory("r", {"f": "0"}))),
    "index is a bool": (BlobSchemaError, blob(file(), directory("r", {"f": False}))),
    "kind 2": (BlobSchemaError, blob(file(kind=2), ROOT)),
    "kind -1": (BlobSchemaError, blob(file(kind=-1), ROOT)),
    "kind is a bool": (BlobSchemaError, blob(file(kind=False), ROOT)),
    "kind is a string": (BlobSchemaError, blob(file(kind="file"), ROOT)),
    "name is a number": (BlobSchemaError, blob(file(name=1), ROOT)),
    "file with children": (
        BlobSchemaError,
        blob(file("g"), file("f", children={"g": 0}), directory("r", {"f": 1})),
    ),
    "directory with data": (
        BlobSchemaError,
        blob(file(), directory("r", {"f": 0}, dataRegion={"offset": 0, "size": 1})),
    ),
    "root is a file": (BlobSchemaError, blob(file())),
    "too deep": (BlobSchemaError, chain(MAX_DEPTH + 1)),
    "far too deep": (BlobSchemaError, chain(100_000)),
    **{
        f"no {key}": (BlobSchemaError, blob(without(file(), key), ROOT))
        for key in ("children", "dataRegion", "kind", "name")
    },
    # Regions.
    "ends in the metadata": (BlobRegionError, blob(file(size=len(DATA) + 1), ROOT)),
    "begins in the metadata": (BlobRegionError, blob(file(offset=len(DATA) + 1, size=0), ROOT)),
    "past the end": (BlobRegionError, blob(file(offset=1 << 40), ROOT)),
    "sum overflows": (BlobRegionError, blob(file(offset=(1 << 64) - 1, size=2), ROOT)),
    "same region": (
        BlobOverlapError,
        blob(file("f", 2, 2), file("g", 2, 2), directory("r", {"f": 0, "g": 1})),
    ),
    "one byte shared": (
        BlobOverlapError,
        blob(file("f", 4, 3), file("g", 0, 5), directory("r", {"f": 0, "g": 1})),
    ),
    "region inside another": (
        BlobOverlapError,
        blob(file("f", 0, 9), file("g", 3, 1), directory("r", {"f": 0, "g": 1})),
    ),
    # The tree.
    "index past the end": (BlobIndexError, blob(file(), directory("r", {"f": 2}))),
    "huge index": (BlobIndexError, blob(file(), directory("r", {"f": 1 << 63}))),
    "own child": (BlobCycleError, blob(file(), directory("r", {"r": 1}))),
    "two in a ring": (
        BlobCycleError,
        blob(directory("a", {"b": 1}), directory("b", {"a": 0}), directory("r", {"a": 0})),
    ),
    "later node": (
        BlobCycleError,
        blob(directory("d", {"f": 1}), file(), directory("r", {"d": 0})),
    ),
    "two directories": (
        BlobCycleError,
        blob(file(), directory("d", {"f": 0}), directory("r", {"d": 1, "f": 0})),
    ),
    "twice in one directory": (BlobCycleError, blob(file(), directory("r", {"f": 0, "g": 0}))),
    "no directory": (BlobCycleError, blob(file(), file("g", 1), directory("r", {"f": 0}))),
    "root is not last": (BlobCycleError, blob(file(), ROOT, directory("r"))),
    # Names; a long one must not make a long message, whatever else is wrong.
    "long name outside": (BlobNameError, blob(file(LONG, 1 << 40), directory("r", {LONG: 0}))),
    "long key": (BlobNameError, blob(file(), directory("r", {LONG: 0}))),
    "long key, no index": (BlobSchemaError, blob(file(), directory("r", {LONG: None}))),
    "file with a long child": (BlobSchemaError, blob(file(children={LONG: 0}), ROOT)),
    "another name": (BlobNameError, blob(file(), directory("r", {"g": 0}))),
    "root leads upwards": (BlobNameError, blob(directory(".."))),
    "root without a name": (BlobNameError, blob(directory(""))),
    **{
        f"name {name[:12]!a}": (BlobNameError, blob(file(name), directory("r", {name: 0})))
        for name in (LONG, "", ".", "..", "/", "../f", "/etc/f", "a\\b", "f\0", "\ud800", "x" * 256)
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_each_broken_rule_has_its_error(case: str) -> None:
    expected, data = HOSTILE[case]
    with pytest.raises(BlobError) as caught:
        read_blob(data)
    assert type(caught.value) is expected
    # A message is a line for a person, however large the blob is.
    assert len(str(caught.value)) < 1000


def test_what_the_table_breaks_is_valid() -> None:
    assert read_blob(raw(TEXT)).read("f") == DATA[:1]
    assert read_blob(chain(MAX_DEPTH)).depth == MAX_DEPTH


@pytest.fixture(scope="module")
def small_blob() -> bytes:
    tree = {"metadata.json": b"{}", "model": {"weight.bin": bytes(40), "é": b"1"}, "empty": {}}
    return write_blob(Directory.from_mapping("lowered_module", tree))


def test_truncated_blobs(small_blob: bytes) -> None:
    for nbytes in range(len(small_blob)):
        with pytest.raises(BlobError):
            read_blob(small_blob[:nbytes])


def test_blobs_that_lack_their_start(small_blob: bytes) -> None:
    for start in range(1, len(small_blob)):
        with pytest.raises(BlobError):
            read_blob(small_blob[start:])


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits(small_blob: bytes, seed: int) -> None:
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(3000):
        data = bytearray(small_blob)
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            outcomes.add(type(read_blob(data)))
        except BlobError as error:
            outcomes.add(type(error))
    assert {Directory, BlobFooterError, BlobSchemaError} <= outcomes


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_and_spliced_text(small_blob: bytes, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2000):
        noise = rng.randbytes(rng.randrange(1, 9))
        tokens = "".join(
            rng.choices(['{"', '"}', "[", "]", "{", "}", ":", ",", '"', "0", "-1"], k=9)
        )
        cut = rng.randrange(len(small_blob))
        piece = rng.choice([noise, tokens.encode()])
        # Spliced into the data alone, a blob may stay valid; anything else must be a BlobError.
        try:
            result = read_blob(small_blob[:cut] + piece + small_blob[cut + rng.randrange(9) :])
        except BlobError:
            continue
        assert isinstance(result, Directory)
