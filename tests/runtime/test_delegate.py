"""Loading one delegate from its bytes, and every way that can fail, with its own message.

Oracles: the blob and package of a small program; docs/blob-format.md for what is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import etcoreml
from etcoreml.blob import ROOT_NAME, Directory, Reference, read_blob, write_blob, write_reference
from etcoreml.errors import (
    BlobError,
    BlobFooterError,
    BlobIndexError,
    BlobOverlapError,
    BlobPathError,
    BlobReferenceError,
    BlobRegionError,
    CompileSpecError,
    EtCoreMLError,
    ModelError,
    ModelTypeError,
    PackageError,
)
from etcoreml.mil import load_package
from etcoreml.runtime.binding import BoundMethod
from etcoreml.runtime.delegate import COMPUTE_UNITS, init
from etcoreml.runtime.pte import parse_pte
from tests.engine.cached import everything_is_worth_caching, nothing_is_translated
from tests.lowering import Runtime
from tests.mil.printed import compiled_files


class NamedData:
    """What the bridge lends: bytes by key."""

    def __init__(self, **data: bytes) -> None:
        self._data = data

    def keys(self) -> list[str]:
        return list(self._data)

    def get(self, key: str) -> memoryview | None:
        return memoryview(self._data[key]) if key in self._data else None


def load(
    payload: bytes,
    specs: Mapping[str, bytes] | None = None,
    named_data: NamedData | None = None,
    options: Mapping[str, object] | None = None,
) -> BoundMethod:
    return init(
        memoryview(payload), specs or {}, named_data or NamedData(), "forward", options or {}
    )


@pytest.fixture(scope="session")
def payload(affine_pte: bytes) -> bytes:
    """The blob of ``2 x + 1`` on (2, 3) fp32."""
    (delegate,) = parse_pte(affine_pte).methods[0].delegates
    return delegate.payload


def names(method: BoundMethod) -> tuple[list[str], list[str]]:
    return (
        [port.name for _, port in method._inputs],
        [port.name for _, port in method._outputs],
    )


def test_blob(payload: bytes) -> None:
    metadata = json.loads(bytes(read_blob(payload).read("metadata.json")))
    assert names(load(payload)) == (metadata["inputNames"], metadata["outputNames"])


def test_reference(payload: bytes) -> None:
    reference = write_reference(Reference("model", None))
    method = load(reference, named_data=NamedData(other=b"", model=payload))
    assert names(method) == names(load(payload))


def test_reference_to_data_the_program_lacks() -> None:
    reference = write_reference(Reference("gone", "forward"))
    with pytest.raises(BlobReferenceError, match=r"^method 'forward': .*'gone'.*found other, x$"):
        load(reference, named_data=NamedData(other=b"", x=b""))
    with pytest.raises(BlobReferenceError, match="found no named data"):
        load(reference)


def test_reference_to_a_function_the_model_lacks(payload: bytes) -> None:
    reference = write_reference(Reference("model", "decode"))
    with pytest.raises(EtCoreMLError, match="decode"):
        load(reference, named_data=NamedData(model=payload))


def test_reference_to_a_reference() -> None:
    first = write_reference(Reference("second"))
    with pytest.raises(BlobError):
        load(first, named_data=NamedData(second=write_reference(Reference("second"))))


@pytest.mark.parametrize("unit", COMPUTE_UNITS)
def test_compute_units(payload: bytes, unit: str) -> None:
    load(payload, {"compute_units": unit.encode()})
    load(payload, options={"compute_unit": unit})


def test_unknown_compute_unit(payload: bytes) -> None:
    for value in (b"gpu", b"", b"\xff"):
        with pytest.raises(CompileSpecError, match=r"method 'forward': unknown compute unit"):
            load(payload, {"compute_units": value})
    with pytest.raises(CompileSpecError, match="found 'tpu'; expected all, cpu_only"):
        load(payload, options={"compute_unit": "tpu"})


def test_run_time_options_go_before_compile_specs(payload: bytes) -> None:
    load(payload, {"compute_units": b"gpu"}, options={"compute_unit": "cpu_only"})
    with pytest.raises(CompileSpecError, match="'tpu'"):
        load(payload, {"compute_units": b"all"}, options={"compute_unit": "tpu"})


METADATA = b'{"identifier": "id", "inputNames": ["x"], "outputNames": ["y"]}'


def blob_of(children: Mapping[str, Any]) -> bytes:
    return write_blob(Directory.from_mapping(ROOT_NAME, children))


def test_compiled_models_load_as_their_package(payload: bytes) -> None:
    blob = read_blob(payload)
    package = blob.find("model.mlpackage")
    assert isinstance(package, Directory)
    children = {
        "metadata.json": blob.read("metadata.json"),
        "model.mlmodelc": compiled_files(load_package(package)),
    }
    assert names(load(blob_of(children))) == names(load(payload))


def test_compiled_models_without_a_program_are_refused() -> None:
    children = {"metadata.json": METADATA, "model.mlmodelc": {"model.espresso.net": b"{}"}}
    with pytest.raises(ModelTypeError, match=r"method 'forward'.*found a neural network"):
        load(blob_of(children))


def test_blob_without_a_model() -> None:
    with pytest.raises(PackageError, match=r"holds no model; found metadata\.json"):
        load(blob_of({"metadata.json": METADATA}))


def test_blob_without_metadata() -> None:
    with pytest.raises(BlobPathError, match=r"metadata\.json"):
        load(blob_of({"other.json": b"{}"}))


def test_names_the_program_does_not_have(payload: bytes) -> None:
    root = read_blob(payload)
    for key, kind in (("inputNames", "inputs"), ("outputNames", "outputs")):
        document = json.loads(bytes(root.read("metadata.json")))
        document[key] = ["no_such_feature"]
        children = {**root.children, "metadata.json": json.dumps(document).encode()}
        with pytest.raises(PackageError, match=f"disagree on the {kind}; found no_such_feature"):
            load(blob_of(children))


def test_package_that_is_empty() -> None:
    children = {"metadata.json": METADATA, "model.mlpackage": {"Manifest.json": b"{}"}}
    with pytest.raises(ModelError):
        load(blob_of(children))


Damage = Callable[[bytes], bytes]


def in_footer(old: bytes, new: bytes) -> Damage:
    """Replace the first ``old`` of the footer, which is stored backwards."""

    def damage(payload: bytes) -> bytes:
        forwards = payload[::-1]
        assert len(old) == len(new)
        assert old in forwards
        return forwards.replace(old, new, 1)[::-1]

    return damage


def overlap(payload: bytes) -> bytes:
    """Let the second file begin with the last byte of the first."""
    offset = json.loads(re.search(rb'"offset":([1-9]\d*)', payload[::-1])[1])
    return in_footer(b'"offset":%d' % offset, b'"offset":%d' % (offset - 1))(payload)


def in_file(old: bytes, new: bytes) -> Damage:
    def damage(payload: bytes) -> bytes:
        assert len(old) == len(new)
        assert payload.count(old) == 1
        return payload.replace(old, new)

    return damage


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (in_footer(b'{"nodes":[', b'["nodes":['), BlobFooterError, ""),
        (in_footer(b'"size":1', b'"size":9'), BlobRegionError, "9"),
        (in_footer(b'"metadata.json":1', b'"metadata.json":9'), BlobIndexError, "9"),
        (overlap, BlobOverlapError, "metadata.json"),
        (in_file(b'{"identifier": ', b'["identifier": '), PackageError, "metadata.json is not"),
        (in_file(b'"inputNames"', b'"inputName_"'), PackageError, "'inputNames'"),
        (in_file(b'"inputNames": ["x"]', b'"inputNames": ["z"]'), PackageError, "found z"),
    ],
)
def test_damage_in_a_valid_pte_surfaces(
    affine_pte: bytes, payload: bytes, damage: Damage, error: type[EtCoreMLError], message: str
) -> None:
    assert affine_pte.count(payload) == 1
    program = etcoreml.load(affine_pte.replace(payload, damage(payload)))
    for _ in range(2):  # a failed load does not leave anything behind
        with pytest.raises(error) as caught:
            program.forward(torch.zeros(2, 3))
        assert str(caught.value).startswith("method 'forward': ")
        assert message in str(caught.value)
    assert etcoreml.load(affine_pte).forward(torch.zeros(2, 3))[0].tolist() == [[1.0] * 3] * 2


def test_the_stock_runtime_reports_a_number_and_keeps_the_error(
    affine_pte: bytes, payload: bytes
) -> None:
    damaged = in_footer(b'"size":1', b'"size":9')(payload)
    program = Runtime.get().load_program(affine_pte.replace(payload, damaged))
    with pytest.raises(RuntimeError):
        program.load_method("forward")
    assert isinstance(etcoreml.last_error(), BlobRegionError)


def test_random_damage_never_goes_unnamed(affine_pte: bytes, payload: bytes) -> None:
    # Whatever byte is flipped, the program runs or raises an error of ours.
    generator = np.random.default_rng(11)
    x = torch.zeros(2, 3)
    ran, errors = 0, []
    for position in generator.integers(0, len(payload), 60):
        damaged = bytearray(payload)
        damaged[position] ^= 1 << int(generator.integers(0, 8))
        program = etcoreml.load(affine_pte.replace(payload, bytes(damaged)))
        try:
            program.forward(x)
            ran += 1
        except EtCoreMLError as error:
            errors.append(str(error))
    assert ran > 0
    assert errors
    assert [each for each in errors if "defect of etcoreml" in each] == []


def test_the_run_time_option_cache_dir(payload: bytes, tmp_path: Path) -> None:
    with everything_is_worth_caching():
        load(payload, options={"cache_dir": str(tmp_path)})
        assert len(list(tmp_path.glob("*.model"))) == 1
        with nothing_is_translated():
            load(payload, options={"cache_dir": str(tmp_path)})
        load(payload, options={"cache_dir": ""})
    with pytest.raises(CompileSpecError, match=re.escape("cache_dir")):
        load(payload, options={"cache_dir": 1})
