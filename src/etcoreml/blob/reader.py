"""Read a blob: find the metadata at its end, check every rule, and view the files in place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from etcoreml.blob.layout import (
    MAX_METADATA_NBYTES,
    Directory,
    File,
    Node,
    NodeKind,
    check_name,
    view_bytes,
)
from etcoreml.blob.reference import is_reference
from etcoreml.errors import (
    BlobCycleError,
    BlobFooterError,
    BlobIndexError,
    BlobMetadataSizeError,
    BlobOverlapError,
    BlobRegionError,
    BlobSchemaError,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PADDING = b"\0 \t\n\v\f\r"
"""What Apple's reader skips behind the metadata: NULs, and white space as C++ streams do."""

_FIRST_READ_NBYTES = 64 * 1024
"""Metadata of a model is a few KB: look at this much first, then at all that is allowed."""

_T = TypeVar("_T")

_MAX_DIGITS = 20
"""Digits of the largest 64-bit integer; longer ones are refused before they are computed."""


def read_blob(data: Buffer) -> Directory:
    """Read a blob and check it against every rule of docs/blob-format.md.

    Args:
        data: The whole blob, possibly followed by NULs. It is kept alive by the result.

    Returns:
        The root directory. Its files are read-only views of ``data``.

    Raises:
        BlobFooterError: The blob does not end in a reversed JSON object.
        BlobMetadataSizeError: That object exceeds ``MAX_METADATA_NBYTES``.
        BlobSchemaError: It is not a list of nodes of the documented shape.
        BlobNameError: A name is illegal, or a child is filed under another name than its own.
        BlobRegionError: A file lies outside the bytes before the metadata.
        BlobOverlapError: Two files share bytes.
        BlobIndexError: A directory refers to a node that does not exist.
        BlobCycleError: The nodes are not one tree, children before parents.

    Source:
        executorch 1.5.1 ``backends/apple/coreml/runtime/inmemoryfs`` (the format).
    """
    view = view_bytes(data)
    metadata, data_nbytes = _find_metadata(view)
    entries = _read_nodes(metadata)
    nodes: list[Node] = []
    regions: list[tuple[int, int, int]] = []
    parents: list[int | None] = [None] * len(entries)
    for index, entry in enumerate(entries):
        where = f"blob: node {index}"
        node = _read_description(entry, where)
        check_name(node.name)
        if node.kind is NodeKind.FILE:
            end = node.offset + node.size
            if end > data_nbytes:
                raise BlobRegionError(
                    f"{where}, file {node.name!r}, lies outside the data",
                    found=f"bytes {node.offset} to {end}",
                    expected=f"within the {data_nbytes} bytes before the metadata",
                )
            if node.size:
                regions.append((node.offset, end, index))
            nodes.append(File(node.name, view[node.offset : end]))
        else:
            for child in node.children.values():
                _claim(child, index, parents, where)
            children = {key: nodes[child] for key, child in node.children.items()}
            nodes.append(Directory(node.name, children))
    _check_overlap(regions, nodes)
    return _root(nodes, parents)


def _find_metadata(view: memoryview) -> tuple[object, int]:
    """Return the parsed metadata, and how many bytes precede it."""
    end = _padding_start(view)
    if not end or view[end - 1] != ord("{"):
        raise BlobFooterError(
            "blob: it does not end in metadata",
            found=f"{bytes(view[max(0, end - 16) : end])!r} at the end",
            expected="a reversed JSON object",
            hint="This is a reference: use read_reference." if is_reference(view) else None,
        )
    for limit in (_FIRST_READ_NBYTES, MAX_METADATA_NBYTES):
        tail = bytes(view[max(0, end - limit) : end])[::-1]
        try:
            metadata, nbytes = _parse_start(tail)
        except json.JSONDecodeError as error:
            if end <= limit or limit == MAX_METADATA_NBYTES:
                raise _no_object(error, end) from error
        else:
            return metadata, end - nbytes
    raise AssertionError


def _padding_start(view: memoryview) -> int:
    """Return the number of bytes before the padding at the end."""
    end = len(view)
    while end:
        start = max(0, end - _FIRST_READ_NBYTES)
        if kept := bytes(view[start:end]).rstrip(_PADDING):
            return start + len(kept)
        end = start
    return 0


def _parse_start(tail: bytes) -> tuple[object, int]:
    """Parse the JSON object that ``tail`` starts with; return it and its length in bytes.

    Raises:
        json.JSONDecodeError: There is none.
    """
    # What follows the object is no text at all. In Latin-1 any bytes are text, and the structure
    # of JSON is the same as in UTF-8.
    try:
        metadata, nbytes = _DECODER.raw_decode(tail.decode("latin-1"))
        if not tail[:nbytes].isascii():
            metadata = _DECODER.decode(tail[:nbytes].decode())
    except RecursionError as error:
        raise BlobSchemaError("blob: the metadata is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise BlobFooterError(
            "blob: the metadata is not UTF-8", found=error, expected="UTF-8"
        ) from error
    return metadata, nbytes


def _no_object(error: json.JSONDecodeError, end: int) -> BlobFooterError | BlobMetadataSizeError:
    # The longest token the parser can be cut in is a pair of \u escapes, strings aside.
    ran_out = error.msg.startswith("Unterminated string") or len(error.doc) - error.pos < 16
    if ran_out and end > MAX_METADATA_NBYTES:
        return BlobMetadataSizeError(
            "blob: the metadata is too long",
            found=f"more than {MAX_METADATA_NBYTES} bytes",
            expected=f"at most {MAX_METADATA_NBYTES}",
        )
    return BlobFooterError(
        "blob: the metadata is not JSON", found=error, expected="a reversed JSON object"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BlobSchemaError(
            "blob: an object of the metadata repeats a key",
            found=f"{len(pairs)} pairs for {len(result)} keys",
            expected="each key once",
        )
    return result


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise BlobSchemaError(
            "blob: a number of the metadata is too large",
            found=f"{len(digits)} digits",
            expected="a 64-bit integer",
        )
    return int(digits)


def _constant(name: str) -> None:
    raise BlobFooterError("blob: the metadata is not JSON", found=name, expected="a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)


def _read_nodes(metadata: object) -> list[object]:
    nodes = metadata.get("nodes") if isinstance(metadata, dict) else None
    if not isinstance(nodes, list) or not nodes:
        raise BlobSchemaError(
            "blob: the metadata has no nodes",
            found=type(nodes).__name__,
            expected="a list with at least a root",
        )
    return nodes


@dataclass(frozen=True)
class _Description:
    """One entry of the metadata, its types checked."""

    name: str
    kind: NodeKind
    offset: int
    size: int
    children: dict[str, int]


def _read_description(entry: object, where: str) -> _Description:
    """Check the types of one node, and that its kind has nothing of the other kind.

    Unknown keys are ignored, as Apple's reader does.
    """
    fields = _expect(entry, dict, where, "a node")
    region = _expect(fields.get("dataRegion"), dict, where, "'dataRegion'")
    children = _expect(fields.get("children"), dict, where, "'children'")
    result = _Description(
        name=_expect(fields.get("name"), str, where, "'name'"),
        kind=_read_kind(fields.get("kind"), where),
        offset=_read_size(region.get("offset"), where, "'offset'"),
        size=_read_size(region.get("size"), where, "'size'"),
        children={
            key: _read_size(child, where, f"child {key[:80]!a}") for key, child in children.items()
        },
    )
    if result.kind is NodeKind.FILE and result.children:
        raise BlobSchemaError(
            f"{where} is a file and has children", found=len(result.children), expected="none"
        )
    if result.kind is NodeKind.DIRECTORY and (result.offset or result.size):
        raise BlobSchemaError(
            f"{where} is a directory and has data",
            found=f"offset {result.offset}, size {result.size}",
            expected="0 and 0",
        )
    return result


def _read_kind(value: object, where: str) -> NodeKind:
    try:
        return NodeKind(_expect(value, int, where, "'kind'"))
    except ValueError as error:
        raise BlobSchemaError(
            f"{where}: unknown kind", found=value, expected="0 (file) or 1 (directory)"
        ) from error


def _read_size(value: object, where: str, part: str) -> int:
    size = _expect(value, int, where, part)
    if not 0 <= size < 1 << 64:
        raise BlobSchemaError(
            f"{where}: {part} is out of range", found=size, expected="an unsigned 64-bit integer"
        )
    return size


def _expect(value: object, kind: type[_T], where: str, part: str) -> _T:
    # bool is a subclass of int, and not a number in JSON.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BlobSchemaError(
            f"{where}: {part} has the wrong type or is missing",
            found=type(value).__name__,
            expected=kind.__name__,
        )
    return value


def _claim(child: int, parent: int, parents: list[int | None], where: str) -> None:
    """Give a node to its directory; every node has one, and stands before it."""
    if child >= len(parents):
        raise BlobIndexError(
            f"{where} has a child that does not exist",
            found=f"index {child}",
            expected=f"less than {len(parents)}",
        )
    if child >= parent:
        raise BlobCycleError(
            f"{where} has itself or a later node as a child",
            found=f"index {child}",
            expected="children before their directory",
        )
    if parents[child] is not None:
        raise BlobCycleError(
            f"{where} has a child that another directory has, or has it twice",
            found=f"index {child}, already in node {parents[child]}",
            expected="one directory for each node",
        )
    parents[child] = parent


def _check_overlap(regions: list[tuple[int, int, int]], nodes: list[Node]) -> None:
    """Check (start, end, node index) regions, none of them empty."""
    regions.sort()
    for (_, end, left), (start, _, right) in pairwise(regions):
        if start < end:
            raise BlobOverlapError(
                f"blob: files {nodes[left].name!r} and {nodes[right].name!r} share bytes",
                found=f"node {right} at {start}, before the end of node {left} at {end}",
                expected="regions that do not overlap",
            )


def _root(nodes: list[Node], parents: list[int | None]) -> Directory:
    root = nodes[-1]
    if not isinstance(root, Directory):
        raise BlobSchemaError(
            "blob: the root is a file", found=root.name, expected="a directory as the last node"
        )
    orphans = [index for index, parent in enumerate(parents[:-1]) if parent is None]
    if orphans:
        raise BlobCycleError(
            "blob: nodes belong to no directory",
            found=f"nodes {orphans[:20]}",
            expected="one directory for each node but the last, which is the root",
        )
    return root
