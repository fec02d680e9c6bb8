"""``metadata.json`` of a delegate blob: which argument of a call is which tensor of the model.

ExecuTorch passes a delegate's arguments by position; Core ML names its features. This file, written
at lowering, joins the two. Source: ../docs/blob-format.md; upstream's model_metadata.h.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from etcoreml.errors import PackageError


@dataclass(frozen=True)
class MethodMetadata:
    """The feature names of one method, in argument order.

    Attributes:
        input_names: Names of the model's inputs; states are not among them.
        output_names: Names of the model's outputs, which follow the inputs in a call.
    """

    input_names: tuple[str, ...]
    output_names: tuple[str, ...]


@dataclass(frozen=True)
class ModelMetadata:
    """What a blob says of its model.

    Attributes:
        identifier: Name of the model in caches; ours is derived from its content.
        methods: Feature names by method. The key is None for a model with a single function.
    """

    identifier: str
    methods: Mapping[str | None, MethodMetadata]

    def method(self, name: str | None) -> MethodMetadata:
        """Return the feature names of one function.

        Raises:
            PackageError: The blob has no such function.
        """
        if name in self.methods:
            return self.methods[name]
        if None in self.methods:
            return self.methods[None]
        known = ", ".join(sorted(str(key) for key in self.methods))
        raise PackageError("metadata.json: unknown function", found=name, expected=known)


def parse_metadata(data: bytes | memoryview) -> ModelMetadata:
    """Parse the bytes of ``metadata.json``.

    Raises:
        PackageError: It is not JSON of the documented shape, or names a feature twice.
    """
    try:
        document = json.loads(bytes(data))
    except ValueError as error:
        raise PackageError("metadata.json is not JSON", found=error) from error
    if not isinstance(document, dict):
        raise _shape_error("an object", document)
    identifier = document.get("identifier")
    if not isinstance(identifier, str) or not identifier:
        raise _shape_error("a non-empty 'identifier'", identifier)
    methods: dict[str | None, MethodMetadata] = {}
    if "methods" in document:
        entries = document["methods"]
        if not isinstance(entries, dict) or not entries:
            raise _shape_error("a non-empty object 'methods'", entries)
        for name, entry in entries.items():
            methods[name] = _parse_method(entry)
    else:
        methods[None] = _parse_method(document)
    return ModelMetadata(identifier, MappingProxyType(methods))


def _parse_method(entry: Any) -> MethodMetadata:
    if not isinstance(entry, dict):
        raise _shape_error("an object per method", entry)
    inputs = _parse_names(entry, "inputNames")
    outputs = _parse_names(entry, "outputNames")
    if not outputs:
        raise _shape_error("at least one name in 'outputNames'", outputs)
    return MethodMetadata(inputs, outputs)


def _parse_names(entry: dict[str, Any], key: str) -> tuple[str, ...]:
    names = entry.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _shape_error(f"a list of strings in '{key}'", names)
    if len(set(names)) != len(names):
        raise _shape_error(f"each name once in '{key}'", names)
    return tuple(names)


def _shape_error(expected: str, found: object) -> PackageError:
    return PackageError("metadata.json is malformed", found=repr(found)[:200], expected=expected)


def parse_debug_symbols(data: bytes | memoryview) -> Mapping[str, tuple[int, ...]]:
    """Return what ``debug_info.json`` knows: debug symbol to the handles of its ATen nodes.

    Raises:
        PackageError: The file is malformed.
    """
    try:
        symbols = json.loads(bytes(data))["debugSymbolToHandles"]
        return {str(name): tuple(map(int, handles)) for name, handles in symbols.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackageError("debug_info.json is malformed", found=repr(error)) from error


def parse_debug_handles(data: bytes | memoryview) -> frozenset[int]:
    """Return the debug handles of the ATen nodes that ``debug_info.json`` knows.

    Raises:
        PackageError: The file is malformed.
    """
    return frozenset(handle for each in parse_debug_symbols(data).values() for handle in each)
