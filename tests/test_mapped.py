"""Mapped files. Oracle: the file system."""

from __future__ import annotations

import os
import time
from pathlib import Path

from etcoreml.mapped import MappedFile


def test_a_view_leads_back_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    view = memoryview(MappedFile.open(path))[10:].cast("B").toreadonly()
    mapped = view.obj
    assert isinstance(mapped, MappedFile)
    status = path.stat()
    assert mapped.identity[:3] == (status.st_dev, status.st_ino, 25600)
    mapped.release()
    assert bytes(view) == path.read_bytes()[10:]


def test_changed_content_has_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    first = MappedFile.open(path).identity
    status = path.stat()
    time.sleep(0.05)  # file systems stamp changes with ticks of a few milliseconds
    path.write_bytes(b"other")
    # Whoever restores the time of modification changes the time of the status.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert MappedFile.open(path).identity != first
