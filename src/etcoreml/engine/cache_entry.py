"""One file of the model cache: what OpenVINO exported, and what a session needs besides.

Layout: the bytes OpenVINO wrote; padding to a multiple of 8; a JSON object (UTF-8); a footer of 48
bytes: SHA-256 of the JSON, its size in bytes (u64, little-endian), ``etcoreml``. The JSON holds the
key, the bounds and checksum of OpenVINO's bytes, and the output ports.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etcoreml.engine.session import Port
from etcoreml.mapped import MappedFile
from etcoreml.types import BY_NAME

_FOOTER = struct.Struct("<32sQ8s")
_MAGIC = b"etcoreml"
_ALIGNMENT = 8
_PAGE_NBYTES = 4096
_CHUNK_PAGES = 256


class DamagedEntryError(ValueError):
    """The file is not what was written. Stays inside the cache, which builds the model anew."""


@dataclass(frozen=True)
class Description:
    """What a session needs besides the compiled model.

    Attributes:
        outputs: The session's ports, with what translation found out about them.
        is_tiny: Whether the calling thread computes.
        is_fallible: Whether a run may fail.
    """

    outputs: tuple[Port, ...]
    is_tiny: bool
    is_fallible: bool


@dataclass(frozen=True, eq=False)
class Entry:
    """An opened entry.

    Attributes:
        description: As it was sealed.
        model: What OpenVINO imports: a view of ``file``.
        file: The mapped file, which the imported model goes on reading.
    """

    description: Description
    model: memoryview
    file: MappedFile


def seal(path: Path, key: str, description: Description) -> None:
    """Turn a file that OpenVINO wrote with its ``CACHE_DIR`` into an entry.

    Raises:
        OSError: The file cannot be written.
        DamagedEntryError: The file does not begin as OpenVINO's do.
    """
    exported = MappedFile.open(path)
    nbytes = len(exported)
    start = _model_start(exported)
    document = {
        "key": key,
        "model": [start, nbytes],
        "checksum": checksum(memoryview(exported)),
        "is_tiny": description.is_tiny,
        "is_fallible": description.is_fallible,
        "outputs": [_port_to_json(port) for port in description.outputs],
    }
    text = json.dumps(document).encode()
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b"\0" * (-nbytes % _ALIGNMENT) + text)
        file.write(_FOOTER.pack(hashlib.sha256(text).digest(), len(text), _MAGIC))
        file.flush()
        os.fsync(file.fileno())


def _model_start(exported: MappedFile) -> int:
    """Return where the model begins: behind a line of XML with OpenVINO's own checks."""
    start = exported.find(b"\n", 0, 4096) + 1
    if b"<compiled_blob" not in exported[:start]:
        raise DamagedEntryError
    return start


def open_entry(path: Path, key: str) -> Entry:
    """Open an entry and check every byte of it.

    Raises:
        OSError: The file cannot be opened.
        DamagedEntryError: Some byte is not the one that was written, or some are missing.
    """
    try:
        file = MappedFile.open(path)
    except ValueError as error:
        raise DamagedEntryError from error
    view = memoryview(file)
    if len(view) < _FOOTER.size:
        raise DamagedEntryError
    digest, nbytes, magic = _FOOTER.unpack_from(view, len(view) - _FOOTER.size)
    end = len(view) - _FOOTER.size
    if magic != _MAGIC or nbytes > end:
        raise DamagedEntryError
    text = bytes(view[end - nbytes : end])
    if hashlib.sha256(text).digest() != digest:
        raise DamagedEntryError
    # Written by this very version of the package, which the key proves.
    document = json.loads(text)
    start, stop = document["model"]
    padding = bytes(view[stop : end - nbytes])
    if (
        document["key"] != key
        or padding != bytes(-stop % _ALIGNMENT)
        or document["checksum"] != checksum(view[:stop])
    ):
        raise DamagedEntryError
    description = Description(
        outputs=_ports(document["outputs"]),
        is_tiny=document["is_tiny"],
        is_fallible=document["is_fallible"],
    )
    return Entry(description, view[start:stop], file)


def checksum(data: memoryview) -> str:
    """Return a checksum that finds damage; who can forge an entry can run code as the user anyway.

    The digest of the sums of the 64-bit words, modulo 2^64, of each page of 4 KiB and, for each
    place in a page, of each chunk of 1 MiB. So it changes with any damage to one page, whatever it
    is, and with any two unequal words that change places. What changes in several pages of a chunk
    goes unseen only if it cancels out in every one of them and in every place.

    387 MB take 0.024 s in the machine's memory, where one sum a page takes 0.022 s, CRC-32 0.12 s
    and SHA-256 0.29 s.
    """
    whole = data.nbytes // _PAGE_NBYTES * _PAGE_NBYTES
    pages = np.frombuffer(data[:whole], np.uint64).reshape(-1, _PAGE_NBYTES // 8)
    digest = hashlib.sha256()
    # A chunk stays in the processor's cache for the second sum.
    for start in range(0, len(pages), _CHUNK_PAGES):
        chunk = pages[start : start + _CHUNK_PAGES]
        for axis in (1, 0):
            digest.update(np.add.reduce(chunk, axis=axis, dtype=np.uint64).tobytes())
    digest.update(data[whole:])
    digest.update(data.nbytes.to_bytes(8, "little"))
    return digest.hexdigest()


def _port_to_json(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "dtype": port.dtype.name,
        "shape": port.shape,
        "labels": port.labels,
    }


def _ports(documents: Sequence[Mapping[str, Any]]) -> tuple[Port, ...]:
    return tuple(
        Port(
            name=each["name"],
            dtype=BY_NAME[each["dtype"]],
            shape=tuple(each["shape"]),
            labels=None if each["labels"] is None else tuple(each["labels"]),
        )
        for each in documents
    )
