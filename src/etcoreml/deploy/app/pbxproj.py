"""``project.pbxproj``: a graph of objects as the property list that Xcode reads.

Enters: objects by id. Leaves: text, in the order and with the comments that Xcode itself writes, so
that saving the project there changes little.

Source of the format: old-style (OpenStep) property lists, as projects of Xcode 14 to 26 are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]
"""A property list's dictionary: strings, lists and dictionaries."""

OBJECT_VERSION = "60"
"""Of a project with local Swift packages: Xcode 15 and later."""

ARCHIVE_VERSION = "1"
_PLAIN = re.compile(r"[A-Za-z0-9_./]+")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})
# Xcode writes these on one line.
_INLINE = frozenset({"PBXBuildFile", "PBXFileReference"})


def object_id(*path: str) -> str:
    """Return the id of an object: 24 hexadecimal digits that depend on nothing but its path.

    >>> object_id("target", "App") == object_id("target", "App")
    True
    """
    return hashlib.sha256("\0".join(path).encode()).hexdigest()[:24].upper()


class Graph:
    """The objects of a project."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self._labels: dict[str, str] = {}

    def add(self, isa: str, *path: str, label: str | None = None, **fields: Any) -> str:
        """Add an object and return its id.

        Args:
            isa: Its class.
            path: What tells it from others of its class.
            label: Shown in comments beside its id.
            fields: Its other entries.

        Raises:
            ValueError: There is one of this path already.
        """
        key = object_id(isa, *path)
        if key in self.objects:
            msg = f"there are two objects {isa} {path}"
            raise ValueError(msg)
        self.objects[key] = {"isa": isa, **fields}
        if label is not None:
            self._labels[key] = label
        return key

    def document(self, root: str) -> dict[str, Any]:
        """Return the whole property list."""
        return {
            "archiveVersion": ARCHIVE_VERSION,
            "classes": {},
            "objectVersion": OBJECT_VERSION,
            "objects": self.objects,
            "rootObject": root,
        }

    def text(self, root: str) -> str:
        """Return the file's text."""
        lines = ["// !$*UTF8*$!", "{"]
        for key, value in self.document(root).items():
            if key == "objects":
                lines += ["\tobjects = {", *self._sections(), "\t};"]
            else:
                lines.append(f"\t{key} = {self._value(value, 1)};")
        return "\n".join([*lines, "}", ""])

    def _sections(self) -> list[str]:
        lines = []
        for isa in sorted({each["isa"] for each in self.objects.values()}):
            lines += ["", f"/* Begin {isa} section */"]
            for key in sorted(k for k, each in self.objects.items() if each["isa"] == isa):
                value = self.objects[key]
                text = self._inline(value) if isa in _INLINE else self._value(value, 2)
                lines.append(f"\t\t{self._reference(key)} = {text};")
            lines.append(f"/* End {isa} section */")
        return lines

    def _value(self, value: Any, depth: int) -> str:
        indent = "\t" * (depth + 1)
        end = "\t" * depth
        if isinstance(value, Mapping):
            entries = [
                f"{indent}{quoted(key)} = {self._value(value[key], depth + 1)};\n"
                for key in _ordered(value)
            ]
            return "{\n" + "".join(entries) + end + "}"
        if isinstance(value, (list, tuple)):
            items = [f"{indent}{self._value(each, depth + 1)},\n" for each in value]
            return "(\n" + "".join(items) + end + ")"
        return self._reference(str(value))

    def _inline(self, value: Object) -> str:
        entries = []
        for key in _ordered(value):
            entry = value[key]
            text = self._inline(entry) if isinstance(entry, Mapping) else self._reference(entry)
            entries.append(f"{quoted(key)} = {text}; ")
        return "{" + "".join(entries) + "}"

    def _reference(self, text: str) -> str:
        label = self._labels.get(text)
        return quoted(text) if label is None else f"{text} /* {label} */"


def _ordered(value: Object) -> list[str]:
    return sorted(value, key=lambda key: (key != "isa", key))


def quoted(text: str) -> str:
    r"""Return a string as the format has it: in quotes unless it is plain.

    >>> quoted("Sources"), quoted("<group>"), quoted("https://a.b")
    ('Sources', '"<group>"', '"https://a.b"')
    """
    # Two slashes begin a comment, three underscores are read as another token by some tools.
    if _PLAIN.fullmatch(text) and "//" not in text and "___" not in text:
        return text
    return f'"{text.translate(_ESCAPES)}"'
