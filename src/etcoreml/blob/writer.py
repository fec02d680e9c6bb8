"""Write a tree as a blob that Apple's runtime reads; equal trees give equal bytes."""

from __future__ import annotations

import io
import json

from etcoreml.blob.layout import MAX_METADATA_NBYTES, Directory, File, Node, NodeKind
from etcoreml.blob.reference import REFERENCE_MAGIC
from etcoreml.errors import (
    BlobEmptyFileError,
    BlobMetadataSizeError,
    BlobReferenceError,
    UsageError,
)


def write_blob(root: Directory, *, alignment: int = 1) -> bytes:
    """Write a tree as a blob; each file's bytes are copied once.

    Nodes are in post-order, siblings sorted by name, the root last. Nothing but the tree and the
    alignment enters the bytes.

    Args:
        root: The tree. The runtime ignores its name (by convention ``lowered_module``).
        alignment: Every file and the metadata start at a multiple of this many bytes.

    Returns:
        The blob: file contents, then the metadata, reversed.

    Raises:
        BlobEmptyFileError: A file is empty.
        BlobMetadataSizeError: The metadata exceeds ``MAX_METADATA_NBYTES``.
        BlobReferenceError: The file contents begin with ``CMJR``, which marks a reference.
        UsageError: ``alignment`` is not positive.

    Source:
        executorch 1.5.1 ``backends/apple/coreml/runtime/inmemoryfs`` (the format).
    """
    if alignment < 1:
        raise UsageError("blob: the alignment is not positive", found=alignment, expected=">= 1")
    for path, file in root.walk():
        if not file.nbytes:
            raise BlobEmptyFileError(
                f"blob: the file {path!r} is empty",
                expected="at least one byte: executorch's own writer crashes on an empty file",
            )
    files: list[tuple[int, File]] = []
    nodes: list[dict[str, object]] = []
    end = _append(root, files, nodes, 0, alignment)
    metadata = _encode(nodes)
    end += -end % alignment
    buffer = io.BytesIO()
    # In its full size from the start: getvalue then returns the buffer itself, not a copy.
    buffer.seek(end + len(metadata) - 1)
    buffer.write(b"\0")
    for offset, file in files:
        buffer.seek(offset)
        for chunk in file.chunks():
            buffer.write(chunk)
    buffer.seek(end)
    buffer.write(metadata)
    blob = buffer.getvalue()
    if blob.startswith(REFERENCE_MAGIC):
        raise BlobReferenceError(
            f"blob: the file contents begin with {REFERENCE_MAGIC!r}",
            expected="other bytes: the runtime would take this blob for a reference",
        )
    return blob


def _append(
    node: Node,
    files: list[tuple[int, File]],
    nodes: list[dict[str, object]],
    end: int,
    alignment: int,
) -> int:
    """Place a node after all below it; return where the data ends. As deep as the tree is."""
    children: dict[str, int] = {}
    offset = size = 0
    if isinstance(node, File):
        offset, size = end + -end % alignment, node.nbytes
        files.append((offset, node))
        end = offset + size
    else:
        for name, child in node.children.items():
            end = _append(child, files, nodes, end, alignment)
            children[name] = len(nodes) - 1
    nodes.append(
        {
            "children": children,
            "dataRegion": {"offset": offset, "size": size},
            "kind": NodeKind.FILE if isinstance(node, File) else NodeKind.DIRECTORY,
            "name": node.name,
        }
    )
    return end


def _encode(nodes: list[dict[str, object]]) -> bytes:
    """Return the metadata as it stands at the end of a blob."""
    text = json.dumps({"nodes": nodes}, separators=(",", ":"), ensure_ascii=False)
    # Apple's reader looks for the end of the metadata in chunks of 512 bytes and misses an escaped
    # quote that two chunks share. Names hold no backslash, so each of these is such a quote.
    metadata = text.replace('\\"', "\\u0022").encode()
    if len(metadata) > MAX_METADATA_NBYTES:
        raise BlobMetadataSizeError(
            "blob: the metadata is too long",
            found=f"{len(metadata)} bytes for {len(nodes)} nodes",
            expected=f"at most {MAX_METADATA_NBYTES} bytes",
        )
    return metadata[::-1]
