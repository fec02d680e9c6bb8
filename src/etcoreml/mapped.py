"""Files viewed in memory without reading them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

Identity = tuple[int, ...]
"""Device, inode, size in bytes, times of the last change of content and of status in ns."""


class MappedFile(mmap.mmap):
    """A file mapped for reading; a ``memoryview`` of it has it as ``obj``.

    Attributes:
        identity: Tells this content of the file from every other file and from its own past.
    """

    identity: Identity

    @classmethod
    def open(cls, path: Path) -> MappedFile:
        """Map a file that is not empty.

        Raises:
            OSError: The file cannot be opened or mapped.
            ValueError: The file is empty.
        """
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            mapped = cls(stream.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.identity = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        return mapped

    def release(self) -> None:
        """Give the pages read so far back; the next access maps them again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)
