"""A delegate's payload opened: the files it holds, and which function of the model it means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from etcoreml.blob import Directory, is_reference, read_blob, read_reference
from etcoreml.errors import BlobReferenceError
from etcoreml.runtime.metadata import MethodMetadata, ModelMetadata, parse_metadata

MODELS = ("model.mlpackage", "model.mlmodelc")
"""Names of a model's folder in a blob: as it was written, or compiled."""


class NamedData(Protocol):
    """The program's named data, as the bridge lends it or a parsed .pte holds it."""

    def keys(self) -> Iterable[str]:
        """Return the keys."""

    def get(self, key: str, /) -> bytes | memoryview | None:
        """Return the bytes under ``key``, or None."""


@dataclass(frozen=True)
class Payload:
    """An opened payload.

    Attributes:
        directory: The blob's files.
        nbytes: Size of the blob in bytes; of the one referred to, for a reference.
        function: The function that a reference names; None for the model's default.
        metadata: What ``metadata.json`` says.
    """

    directory: Directory
    nbytes: int
    function: str | None
    metadata: ModelMetadata

    @property
    def method(self) -> MethodMetadata:
        """The function's feature names, in argument order.

        Raises:
            PackageError: The blob has no such function.
        """
        return self.metadata.method(self.function)

    @property
    def model(self) -> Directory | None:
        """The model's folder; the package where both it and a compiled model are there."""
        for name in MODELS:
            node = self.directory.find(name)
            if isinstance(node, Directory):
                return node
        return None


def open_payload(processed: bytes | memoryview, named_data: NamedData) -> Payload:
    """Open a blob, or the one that a ``CMJR`` reference names.

    Raises:
        BlobError: The payload breaks a rule of docs/blob-format.md.
        PackageError: ``metadata.json`` is malformed.
    """
    function = None
    if is_reference(processed):
        reference = read_reference(processed)
        function = reference.function_name
        data = named_data.get(reference.key)
        if data is None:
            raise BlobReferenceError(
                f"the CMJR reference names data '{reference.key}', "
                "which the program does not carry",
                found=", ".join(named_data.keys()) or "no named data",
            )
        processed = data
    directory = read_blob(processed)
    metadata = parse_metadata(directory.read("metadata.json"))
    return Payload(directory, len(processed), function, metadata)
