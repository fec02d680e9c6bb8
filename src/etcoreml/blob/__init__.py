"""The delegate blob: a directory tree in one run of bytes, and the references that stand for it.

What enters is the tree of a Core ML model (metadata.json, model.mlpackage); what leaves is the
``processed_bytes`` of ExecuTorch's ``CoreMLBackend`` delegate, and the way back. Byte-level
specification: docs/blob-format.md.
"""

from etcoreml.blob.layout import (
    MAX_DEPTH,
    MAX_METADATA_NBYTES,
    MAX_NAME_NBYTES,
    ROOT_NAME,
    Directory,
    File,
)
from etcoreml.blob.reader import read_blob
from etcoreml.blob.reference import (
    REFERENCE_MAGIC,
    Reference,
    is_reference,
    read_reference,
    write_reference,
)
from etcoreml.blob.writer import write_blob

__all__ = [
    "MAX_DEPTH",
    "MAX_METADATA_NBYTES",
    "MAX_NAME_NBYTES",
    "REFERENCE_MAGIC",
    "ROOT_NAME",
    "Directory",
    "File",
    "Reference",
    "is_reference",
    "read_blob",
    "read_reference",
    "write_blob",
    "write_reference",
]
