"""Payloads opened by the delegate and by ``inspect`` alike. Oracle: the blob that was written."""

from __future__ import annotations

import json

import pytest

from etcoreml.blob import Directory, Reference, write_blob, write_reference
from etcoreml.errors import BlobReferenceError, PackageError
from etcoreml.runtime.payload import open_payload

NAMES = {"inputNames": ["x"], "outputNames": ["y"]}


def blob(document: dict[str, object]) -> bytes:
    tree = {"metadata.json": json.dumps({"identifier": "a", **document}).encode()}
    return write_blob(Directory.from_mapping("lowered_module", tree))


def test_blob() -> None:
    data = blob(NAMES)
    payload = open_payload(data, {})
    assert payload.function is None
    assert payload.nbytes == len(data)
    assert payload.method.input_names == ("x",)
    assert [path for path, _ in payload.directory.walk()] == ["metadata.json"]


def test_reference() -> None:
    data = blob({"methods": {"encode": NAMES, "decode": {**NAMES, "inputNames": ["z"]}}})
    payload = open_payload(write_reference(Reference("key", "decode")), {"key": data})
    assert payload.function == "decode"
    assert payload.nbytes == len(data)
    assert payload.method.input_names == ("z",)


def test_reference_to_nothing() -> None:
    with pytest.raises(BlobReferenceError, match=r"'gone'.*found no named data"):
        open_payload(write_reference(Reference("gone", "decode")), {})


def test_function_that_is_not_there() -> None:
    data = blob({"methods": {"encode": NAMES}})
    payload = open_payload(write_reference(Reference("key", "decode")), {"key": data})
    with pytest.raises(PackageError, match="found decode; expected encode"):
        payload.method  # noqa: B018
