"""References: the short delegate payload of a method whose model several methods share.

The payload names the blob, which the .pte carries once in its named data, and the function of the
model to call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from etcoreml.blob.layout import view_bytes
from etcoreml.errors import BlobReferenceError

if TYPE_CHECKING:
    from typing_extensions import Buffer

REFERENCE_MAGIC = b"CMJR"
"""First four bytes of a reference; what follows is UTF-8 JSON."""

REFERENCE_VERSION = 1

_T = TypeVar("_T")


@dataclass(frozen=True)
class Reference:
    """Where a method's model is.

    Attributes:
        key: Key of the blob in the program's named data.
        function_name: Function of the model to call; None means the method's own name.
        version: Version of the payload; Apple's runtime does not look at it.

    Raises:
        BlobReferenceError: The key or the function name is empty.
    """

    key: str
    function_name: str | None = None
    version: int = REFERENCE_VERSION

    def __post_init__(self) -> None:
        if not self.key:
            raise BlobReferenceError("blob: a reference has an empty key")
        if self.function_name == "":
            raise BlobReferenceError("blob: a reference has an empty function name")


def is_reference(data: Buffer) -> bool:
    """Return whether a delegate payload is a reference rather than a blob."""
    return view_bytes(data)[: len(REFERENCE_MAGIC)] == REFERENCE_MAGIC


def read_reference(data: Buffer) -> Reference:
    """Parse a reference.

    Args:
        data: A whole delegate payload.

    Raises:
        BlobReferenceError: It does not start with ``CMJR``, or what follows is not a JSON object
            with a string ``key`` and optionally a string ``functionName`` and an int ``version``.
    """
    if not is_reference(data):
        raise BlobReferenceError(
            "blob: the payload is not a reference",
            found=bytes(view_bytes(data)[: len(REFERENCE_MAGIC)]),
            expected=REFERENCE_MAGIC,
            hint="Read it with read_blob.",
        )
    try:
        fields = json.loads(str(view_bytes(data)[len(REFERENCE_MAGIC) :], "utf-8"))
    except (ValueError, RecursionError) as error:
        raise BlobReferenceError(
            "blob: a reference is not JSON", found=error, expected="a UTF-8 JSON object"
        ) from error
    _expect(fields, dict, "the payload")
    key = _expect(fields.get("key"), str, "'key'")
    function_name = fields.get("functionName")
    if function_name is not None:
        _expect(function_name, str, "'functionName'")
    version = _expect(fields.get("version", REFERENCE_VERSION), int, "'version'")
    return Reference(key, function_name, version)


def write_reference(reference: Reference) -> bytes:
    """Return the delegate payload of a reference; equal references give equal bytes.

    Raises:
        BlobReferenceError: The key or the function name is not Unicode text.
    """
    fields: dict[str, str | int] = {"version": reference.version, "key": reference.key}
    if reference.function_name is not None:
        fields["functionName"] = reference.function_name
    try:
        return REFERENCE_MAGIC + json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BlobReferenceError(
            "blob: a reference cannot be written", found=error, expected="Unicode text"
        ) from error


def _expect(value: object, kind: type[_T], part: str) -> _T:
    # bool is a subclass of int, and not a number in JSON.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BlobReferenceError(
            f"blob: {part} of a reference has the wrong type or is missing",
            found=type(value).__name__,
            expected=kind.__name__,
        )
    return value
