"""``metadata.json`` and ``debug_info.json``. Oracle: the shapes of docs/blob-format.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etcoreml.errors import PackageError
from etcoreml.runtime.metadata import MethodMetadata, parse_debug_handles, parse_metadata


def encoded(**document: Any) -> bytes:
    return json.dumps(document).encode()


def test_one_function() -> None:
    data = encoded(identifier="id", inputNames=["b", "a"], outputNames=["y"], later="ignored")
    metadata = parse_metadata(memoryview(data))
    assert metadata.identifier == "id"
    expected = MethodMetadata(("b", "a"), ("y",))
    assert metadata.method(None) == expected
    # A reference may name a function of a model that has a single one.
    assert metadata.method("forward") == expected


def test_several_functions() -> None:
    entry = {"inputNames": [], "outputNames": ["y"]}
    other = {"inputNames": ["x"], "outputNames": ["z"]}
    metadata = parse_metadata(encoded(identifier="id", methods={"decode": entry, "fill": other}))
    assert metadata.method("decode") == MethodMetadata((), ("y",))
    assert metadata.method("fill") == MethodMetadata(("x",), ("z",))
    for name in ("forward", None):
        with pytest.raises(PackageError, match=r"unknown function; .*expected decode, fill"):
            metadata.method(name)


GOOD: dict[str, Any] = {"identifier": "id", "inputNames": ["x"], "outputNames": ["y"]}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"identifier"}'])
def test_not_json(data: bytes) -> None:
    with pytest.raises(PackageError, match=r"metadata\.json is not JSON"):
        parse_metadata(data)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], "an object"),
        (None, "an object"),
        ({**GOOD, "identifier": ""}, "'identifier'"),
        ({**GOOD, "identifier": 3}, "'identifier'"),
        ({"inputNames": [], "outputNames": ["y"]}, "'identifier'"),
        ({**GOOD, "inputNames": "x"}, "a list of strings in 'inputNames'"),
        ({**GOOD, "inputNames": [1]}, "a list of strings in 'inputNames'"),
        ({**GOOD, "inputNames": None}, "a list of strings in 'inputNames'"),
        ({"identifier": "id", "inputNames": ["x"]}, "a list of strings in 'outputNames'"),
        ({**GOOD, "outputNames": []}, "at least one name in 'outputNames'"),
        ({**GOOD, "inputNames": ["x", "x"]}, "each name once in 'inputNames'"),
        ({**GOOD, "outputNames": ["y", "y"]}, "each name once in 'outputNames'"),
        ({**GOOD, "methods": {}}, "a non-empty object 'methods'"),
        ({**GOOD, "methods": []}, "a non-empty object 'methods'"),
        ({**GOOD, "methods": {"forward": 1}}, "an object per method"),
        ({**GOOD, "methods": {"forward": {}}}, "a list of strings in 'inputNames'"),
    ],
)
def test_malformed(document: Any, expected: str) -> None:
    with pytest.raises(PackageError) as caught:
        parse_metadata(json.dumps(document).encode())
    assert caught.value.what == "metadata.json is malformed"
    assert expected in str(caught.value.expected)


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(PackageError) as caught:
        parse_metadata(json.dumps(["x" * 10_000]).encode())
    assert len(str(caught.value)) < 400


def test_debug_handles() -> None:
    data = encoded(debugSymbolToHandles={"relu:relu": [3, 5], "add": [5], "const": []}, other=1)
    assert parse_debug_handles(data) == {3, 5}
    assert parse_debug_handles(encoded(debugSymbolToHandles={})) == frozenset()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        encoded(debugSymbolToHandles=[]),
        encoded(debugSymbolToHandles={"relu": 3}),
        encoded(debugSymbolToHandles={"relu": ["x"]}),
        encoded(debugSymbolToHandles={"relu": [None]}),
    ],
)
def test_malformed_debug_info(data: bytes) -> None:
    with pytest.raises(PackageError, match=r"debug_info\.json is malformed"):
        parse_debug_handles(data)
