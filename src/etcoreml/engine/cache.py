"""Compiled models on disk, so that a program is translated and compiled once.

Enters: a key and, once, what OpenVINO exports. Leaves: the model again, memory-mapped.

The cache is a folder: ``ETCOREML_CACHE_DIR``, else ``etcoreml`` in ``XDG_CACHE_HOME``, else
``~/.cache/etcoreml``. Nothing it holds is needed: what is missing, damaged, of another version or
impossible to write is built again, without a word. Processes share it without locks: an entry
appears whole by a rename, and one that is deleted stays readable to those who have it mapped.
The folder may hold other things too: only what bears a name of the cache's own is ever deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from etcoreml.engine.cache_entry import (
    DamagedEntryError,
    Description,
    Entry,
    open_entry,
    seal,
)
from etcoreml.errors import FeatureTypeError, UsageError

ENVIRONMENT = "ETCOREML_CACHE_DIR"
"""Names the folder; empty or ``0`` means no cache."""

LIMIT_NBYTES = 4 << 30
"""Size of all entries above which the least recently used ones go."""

_ENTRY = ".model"
_DIGEST = ".digest"
_SCRATCH = ".etcoreml-building-"
_ABANDONED_S = 3600.0
_DIGEST_LENGTH = 64
_FILE_NAME = re.compile(r"[0-9a-f]{64}\.(model|digest)")
_SCRATCH_NAME = re.compile(re.escape(_SCRATCH) + "[a-z0-9_]{8}")  # as mkdtemp makes them


def cache_directory(choice: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder of the cache, which need not exist, or None where there is none.

    Args:
        choice: A folder, or ``""`` for no cache; None leaves it to the environment. A leading
            ``~`` is expanded, in the environment too.

    Raises:
        FeatureTypeError: ``choice`` is no path.
    """
    if choice is None:
        choice = os.environ.get(ENVIRONMENT)
        if choice == "0":
            return None
    if choice is not None:
        if not isinstance(choice, str | os.PathLike):
            raise FeatureTypeError("cache_dir is no path", found=repr(choice))
        # What cannot be expanded stays as it is.
        return Path(os.path.expanduser(choice)) if os.fspath(choice) else None  # noqa: PTH111
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative path is to be ignored, says the XDG base directory specification.
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "etcoreml"
    except RuntimeError:  # no home directory
        return None


@dataclass(frozen=True)
class ModelCache:
    """A cache.

    Attributes:
        directory: Its folder; made when something is stored.
        limit_nbytes: See `LIMIT_NBYTES`.
    """

    directory: Path
    limit_nbytes: int = LIMIT_NBYTES

    def find(self, key: str) -> Entry | None:
        """Return the entry of this key; a damaged one is deleted."""
        path = self._path(key)
        try:
            entry = open_entry(path, key)
        except OSError:
            return None
        except DamagedEntryError:
            self.discard(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now
        return entry

    def discard(self, key: str) -> None:
        """Delete the entry of this key, if there is one and it can be deleted."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path | None]:
        """Lend a folder for OpenVINO to export to; None if none can be made here."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = tempfile.mkdtemp(prefix=_SCRATCH, dir=self.directory)
        except OSError:
            yield None
            return
        try:
            yield Path(made)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def store(self, key: str, scratch: Path, description: Description) -> None:
        """Store the one model exported to ``scratch``; nothing happens if that fails."""
        # Another process may delete the folder at any time.
        with contextlib.suppress(OSError, ValueError):
            exported = list(scratch.iterdir())
            # OpenVINO deletes what it could not write to its end.
            if len(exported) != 1:
                return
            seal(exported[0], key, description)
            exported[0].replace(self._path(key))
            self._evict(keep=self._path(key))

    def remembered(self, name: str, compute: Callable[[], str]) -> str:
        """Return the digest stored under ``name``, or the computed one, which is then stored."""
        path = self.directory / f"{name}{_DIGEST}"
        with contextlib.suppress(OSError, ValueError):
            digest = path.read_text("ascii")
            if len(digest) == _DIGEST_LENGTH:
                with contextlib.suppress(OSError):
                    os.utime(path)
                return digest
        digest = compute()
        with contextlib.suppress(OSError), self.scratch() as scratch:
            if scratch is not None:
                (scratch / "digest").write_text(digest, "ascii")
                (scratch / "digest").replace(path)
        return digest

    def purge(self) -> int:
        """Delete every entry, and what was abandoned; returns the bytes of the entries deleted.

        Raises:
            UsageError: The folder cannot be read, or an entry not be deleted; the others are.
        """
        freed, failures = 0, []
        try:
            for path, status in self._files():
                try:
                    path.unlink()
                    freed += status.st_size
                except FileNotFoundError:  # deleted by another process
                    pass
                except OSError as error:
                    failures.append((path, error))
            self._discard_abandoned()
        except FileNotFoundError:
            pass  # no cache yet
        except OSError as error:
            failures.append((self.directory, error))
        if failures:
            path, first = failures[0]
            what = f"cannot purge the model cache: '{path}'"
            raise UsageError(what, found=first.strerror) from first
        return freed

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}{_ENTRY}"

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """Return the files of the cache with their status, the least recently used first."""
        found = []
        for path in self.directory.iterdir():
            if _FILE_NAME.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):  # deleted by another process
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found.append((path, status))
        return sorted(found, key=lambda each: each[1].st_mtime_ns)

    def _discard_abandoned(self) -> None:
        """Delete the scratch folders of processes that are gone; others are being exported to."""
        for path in self.directory.iterdir():
            if _SCRATCH_NAME.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime + _ABANDONED_S < time.time():
                        shutil.rmtree(path, ignore_errors=True)

    def _evict(self, keep: Path) -> None:
        files = self._files()
        excess = sum(status.st_size for _, status in files) - self.limit_nbytes
        # A model larger than the limit goes last, but goes.
        files.sort(key=lambda each: each[0] == keep)
        for path, status in files:
            if excess <= 0:
                break
            # What cannot be deleted is left, and others go for it.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                excess -= status.st_size
        self._discard_abandoned()
