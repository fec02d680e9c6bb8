"""The tree a blob holds: files and directories, immutable, their contents viewed and not copied.

A tree is built from the leaves up, so a ``Directory`` that exists is valid: its names are legal,
each child is filed under its own name, and its depth is bounded. Reader and writer rely on that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, Union

from etcoreml.atomic import make_folder_atomic
from etcoreml.errors import BlobCycleError, BlobNameError, BlobPathError, BlobSchemaError
from etcoreml.mapped import MappedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROOT_NAME = "lowered_module"
"""Name of the root directory. The runtime ignores it, but extracts into a folder of that name."""

MAX_METADATA_NBYTES = 10 * 1024 * 1024
"""Apple's reader gives up on metadata longer than this (``read_object_from_stream``)."""

MAX_NAME_NBYTES = 255
"""Longest name APFS and the usual Linux file systems can store; models are extracted to disk."""

MAX_DEPTH = 256
"""Deepest nesting. Apple's PATH_MAX is 1024 bytes; a model package needs five levels."""


_CHUNK_NBYTES = 1 << 24
_MMAP_NBYTES = 64 * 1024
"""Smaller files are read: a mapping would cost a page and a file descriptor each."""

_SEPARATOR = re.compile(r"[/\\\0]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class NodeKind(IntEnum):
    """What a node of the metadata is."""

    FILE = 0
    DIRECTORY = 1


Node: TypeAlias = Union["File", "Directory"]
Content: TypeAlias = "Buffer | File | Directory | Mapping[str, Content]"


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        name: File name without a path.
        data: Its bytes: a read-only, contiguous view of bytes that somebody else owns.

    Raises:
        BlobNameError: The name breaks the rule of :func:`check_name`.
    """

    name: str
    data: memoryview

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "data", view_bytes(self.data))

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.data.nbytes

    def chunks(self) -> Iterator[memoryview]:
        """Yield the bytes in order, in pieces; of a mapped file one piece is in memory at a time.

        A piece is to be used before the next is asked for.
        """
        owner = self.data.obj
        for start in range(0, self.nbytes, _CHUNK_NBYTES):
            yield self.data[start : start + _CHUNK_NBYTES]
            if isinstance(owner, MappedFile):
                owner.release()


@dataclass(frozen=True, eq=False, repr=False)
class Directory:
    """One directory and everything below it.

    Attributes:
        name: Directory name without a path.
        children: Files and directories by name, sorted by name.
        depth: Levels of directories from here down; 1 when there is no subdirectory.
        nbytes: Sum of the sizes of all files below, in bytes.

    Raises:
        BlobNameError: A name breaks the rule of :func:`check_name`, or a child is filed under
            another name than its own.
        BlobSchemaError: The directories are nested more than ``MAX_DEPTH`` deep.
    """

    name: str
    children: Mapping[str, Node]
    depth: int = field(init=False)
    nbytes: int = field(init=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        for key, child in self.children.items():
            if key != child.name:
                # Apple's runtime looks a file up by key but extracts it by name.
                raise BlobNameError(
                    f"blob: a child of directory {self.name!r} is filed under another name",
                    found=f"key {key[:80]!a} for {child.name!r}",
                    expected="the child's own name",
                )
        below = (c.depth for c in self.children.values() if isinstance(c, Directory))
        depth = 1 + max(below, default=0)
        if depth > MAX_DEPTH:
            raise _too_deep(self.name)
        ordered = MappingProxyType(dict(sorted(self.children.items())))
        object.__setattr__(self, "children", ordered)
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "nbytes", sum(child.nbytes for child in ordered.values()))

    def __repr__(self) -> str:
        return f"Directory(name={self.name!r}, children={list(self.children)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Directory):
            return NotImplemented
        # No recursion: MAX_DEPTH levels of comparison would exceed Python's stack.
        pairs: list[tuple[Node, Node]] = [(self, other)]
        while pairs:
            left, right = pairs.pop()
            if isinstance(left, Directory) and isinstance(right, Directory):
                if left.name != right.name or left.children.keys() != right.children.keys():
                    return False
                pairs += [(child, right.children[name]) for name, child in left.children.items()]
            elif left != right:
                return False
        return True

    def __hash__(self) -> int:
        return hash((self.name, self.nbytes, tuple(self.children)))

    @classmethod
    def from_mapping(cls, name: str, mapping: Mapping[str, Content]) -> Directory:
        """Build a tree from nested mappings.

        Args:
            name: Name of the directory.
            mapping: For each name a bytes-like object, a ``File`` or ``Directory`` (filed under
                the key, whatever its own name), or a mapping again. Bytes are viewed, not copied.

        Raises:
            BlobNameError: A key is not a legal name.
            BlobSchemaError: The mappings are nested more than ``MAX_DEPTH`` deep.
        """
        return _from_mapping(name, mapping, 1)

    @classmethod
    def from_path(cls, path: Path, name: str = ROOT_NAME) -> Directory:
        """Build a tree from a directory on disk; large files are memory-mapped, not read.

        Symbolic links are followed and keep the link's name. The files must not shrink while
        the tree is alive. Empty files are accepted here, though a blob cannot be written of them.

        Args:
            path: An existing directory.
            name: Name of the root; not taken from ``path``, so that equal trees give equal blobs.

        Raises:
            BlobPathError: ``path`` is not a directory, or holds something that cannot be read.
            BlobNameError: A file name on disk is not a legal name.
            BlobCycleError: A symbolic link leads to a directory that holds it.
            BlobSchemaError: The directories are nested more than ``MAX_DEPTH`` deep.
        """
        try:
            return _from_path(path, name, ())
        except OSError as error:
            raise BlobPathError(
                f"blob: cannot read the directory {path}", found=error, expected="readable files"
            ) from error

    def find(self, path: str) -> Node | None:
        """Return the file or directory at ``path`` ("a/b/c", relative), or None."""
        node: Node | None = self
        for part in path.split("/"):
            if not isinstance(node, Directory):
                return None
            node = node.children.get(part)
        return node

    def read(self, path: str) -> memoryview:
        """Return the contents of the file at ``path`` ("a/b/c", relative), without a copy.

        Raises:
            BlobPathError: Nothing is there, or a directory is.
        """
        node = self.find(path)
        if isinstance(node, File):
            return node.data
        raise BlobPathError(
            f"blob: no file {path!r} in {self.name!r}",
            found="nothing of that name" if node is None else "a directory",
            expected=f"one of {[name for name, _ in self.walk()][:20]}",
        )

    def walk(self) -> Iterator[tuple[str, File]]:
        """Yield every file below with its path ("a/b/c"), sorted by path."""
        pending: list[tuple[str, Node]] = [("", self)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, File):
                yield path, node
                continue
            # A directory sorts as its files do: as if its name ended in the separator.
            pending += sorted(
                (
                    (path + (name + "/" if isinstance(child, Directory) else name), child)
                    for name, child in node.children.items()
                ),
                key=lambda item: item[0],
                reverse=True,
            )

    def digest(self) -> str:
        """Return the SHA-256 of the paths, sizes and contents of all files, in hexadecimal."""
        digest = hashlib.sha256()
        for path, file in sorted(self.walk(), key=lambda each: each[0]):
            digest.update(f"{path}\0{file.nbytes}\0".encode())
            for chunk in file.chunks():
                digest.update(chunk)
        return digest.hexdigest()

    def extract(self, destination: Path) -> None:
        """Write the tree to disk, so that ``destination`` becomes this directory.

        The tree is written beside ``destination`` and renamed at the end: a failure leaves nothing.

        Args:
            destination: A path that does not exist, in a directory that does.

        Raises:
            BlobPathError: ``destination`` exists, or the tree cannot be written.
        """
        try:
            if destination.exists():
                raise FileExistsError(destination)
            with make_folder_atomic(destination) as folder:
                _write_tree(self, folder)
        except OSError as error:
            raise BlobPathError(
                f"blob: cannot extract {self.name!r} to {destination}",
                found=error,
                expected="a path that does not exist, in a writable directory",
            ) from error


def check_name(name: str) -> None:
    r"""Refuse a name that cannot be one component of a path on every system.

    Raises:
        BlobNameError: The name is empty, ``.`` or ``..``, holds ``/``, ``\\`` or NUL, is not
            Unicode text, or is longer than ``MAX_NAME_NBYTES`` in UTF-8.
    """
    if name in ("", ".", "..") or _SEPARATOR.search(name):
        problem = "not a single path component"
    elif _SURROGATE.search(name):
        problem = "not Unicode text"
    elif len(name.encode()) > MAX_NAME_NBYTES:
        problem = f"longer than {MAX_NAME_NBYTES} bytes"
    else:
        return
    raise BlobNameError(
        f"blob: a name is {problem}",
        found=ascii(name[:80]),
        expected="a file name without '/', '\\' and NUL, other than '.' and '..'",
    )


def view_bytes(data: Buffer) -> memoryview:
    """Return a read-only view of ``data`` as a flat run of bytes.

    Raises:
        TypeError: ``data`` is not a contiguous bytes-like object.
    """
    view = memoryview(data)
    # A view with a zero in its shape cannot be cast, and has nothing to show.
    return view.cast("B").toreadonly() if view.nbytes else memoryview(b"")


def _too_deep(name: str) -> BlobSchemaError:
    return BlobSchemaError(
        f"blob: the tree at directory {name!r} is too deep",
        found=f"more than {MAX_DEPTH} levels",
        expected=f"at most {MAX_DEPTH}",
    )


def _from_mapping(name: str, mapping: Mapping[str, Content], level: int) -> Directory:
    if level > MAX_DEPTH:
        raise _too_deep(name)
    children: dict[str, Node] = {}
    for key, value in mapping.items():
        if isinstance(value, (File, Directory)):
            children[key] = value if value.name == key else replace(value, name=key)
        elif isinstance(value, Mapping):
            children[key] = _from_mapping(key, value, level + 1)
        else:
            children[key] = File(key, view_bytes(value))
    return Directory(name, children)


def _from_path(path: Path, name: str, ancestors: tuple[Path, ...]) -> Directory:
    here = path.resolve(strict=True)
    if here in ancestors:
        raise BlobCycleError(
            f"blob: a symbolic link leads back to a directory that holds it: {path}",
            expected="a tree",
        )
    if len(ancestors) >= MAX_DEPTH:
        raise _too_deep(name)
    children: dict[str, Node] = {}
    for entry in path.iterdir():
        if entry.is_dir():
            children[entry.name] = _from_path(entry, entry.name, (*ancestors, here))
        elif entry.is_file():
            children[entry.name] = File(entry.name, _view_file(entry))
        else:
            raise BlobPathError(
                f"blob: cannot store {entry}",
                found="a broken link or a special file",
                expected="a file or a directory",
            )
    return Directory(name, children)


def _view_file(path: Path) -> memoryview:
    if path.stat().st_size < _MMAP_NBYTES:
        return memoryview(path.read_bytes())
    return memoryview(MappedFile.open(path))


def _write_tree(root: Directory, destination: Path) -> None:
    """Write a tree into a folder that exists."""
    pending: list[tuple[Directory, Path]] = [(root, destination)]
    while pending:
        directory, path = pending.pop()
        for name, child in directory.children.items():
            if isinstance(child, Directory):
                (path / name).mkdir()
                pending.append((child, path / name))
            else:
                # Exclusive: two names a case-blind file system cannot tell apart must not merge.
                with (path / name).open("xb") as stream:
                    stream.write(child.data)
