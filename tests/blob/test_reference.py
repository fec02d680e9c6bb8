"""References; the oracle is the JSON module and the payload upstream writes."""

import json

import pytest

from etcoreml.blob import Reference, is_reference, read_reference, write_reference
from etcoreml.errors import BlobReferenceError


def test_reads_what_upstream_writes() -> None:
    # The payload of executorch 1.5.1 for two methods that share a model.
    payload = b'CMJR{"version": 1, "key": "coreml_executorch_1f", "functionName": "prefill"}'
    assert is_reference(payload)
    assert read_reference(payload) == Reference("coreml_executorch_1f", "prefill", 1)


@pytest.mark.parametrize(
    "reference",
    [Reference("k", "forward"), Reference("k"), Reference('"é\n{', "\U0001f600", 2)],
    ids=str,
)
def test_round_trip(reference: Reference) -> None:
    payload = write_reference(reference)
    assert read_reference(memoryview(payload)) == reference
    assert write_reference(reference) == payload


def test_written_fields() -> None:
    payload = write_reference(Reference("k", "forward"))
    assert payload[:4] == b"CMJR"
    assert json.loads(payload[4:]) == {"version": 1, "key": "k", "functionName": "forward"}
    assert "functionName" not in json.loads(write_reference(Reference("k"))[4:])


def test_only_the_key_is_needed_and_more_is_ignored() -> None:
    assert read_reference(b'CMJR{"key":"k"}') == Reference("k", None, 1)
    assert read_reference(b'CMJR{"key":"k","functionName":null,"x":[1]}') == Reference("k")


@pytest.mark.parametrize("data", [b"", b"CMJ", b"cmjr{}", b"\0CMJR", b'{"key":"k"}'])
def test_other_payloads_are_not_references(data: bytes) -> None:
    assert not is_reference(data)
    with pytest.raises(BlobReferenceError, match="not a reference"):
        read_reference(data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"key":""}',
        b'{"key":1}',
        b'{"key":null}',
        b'{"key":"k","functionName":1}',
        b'{"key":"k","functionName":""}',
        b'{"key":"k","version":"1"}',
        b'{"key":"k","version":true}',
        b'{"key":"k","version":1.0}',
        b'{"key":"\xff"}',
        b'{"key":"k"}\0',
        b'{"key":"k"} x',
        b'{"a":' * 100_000,
        b'{"key":"k","version":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_malformed_references_are_refused(body: bytes) -> None:
    with pytest.raises(BlobReferenceError):
        read_reference(b"CMJR" + body)


def test_empty_and_unencodable_names_are_not_written() -> None:
    with pytest.raises(BlobReferenceError):
        Reference("")
    with pytest.raises(BlobReferenceError):
        Reference("k", "")
    with pytest.raises(BlobReferenceError):
        write_reference(Reference("\ud800"))
