"""Parsers that are not ours, for what the generators write: openstep-plist and tree-sitter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstep_plist
import tree_sitter_objc
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from etcoreml.deploy.app.pbxproj import Graph
from etcoreml.deploy.check.project import check_project

_LANGUAGES = {
    ".swift": Language(tree_sitter_swift.language()),
    ".m": Language(tree_sitter_objc.language()),
    ".h": Language(tree_sitter_objc.language()),
}
# What the preprocessor takes away before the grammar's turn.
_MACROS = re.compile(r"NS_ASSUME_NONNULL_(BEGIN|END)|NS_FORMAT_FUNCTION\(.*?\)")


def syntax_errors(path: Path) -> list[str]:
    """Where a source file has something that the grammar does not know, or lacks."""
    text = path.read_text()
    if path.suffix != ".swift":
        text = _MACROS.sub("", text)
    tree = Parser(_LANGUAGES[path.suffix]).parse(text.encode())
    return [
        f"{path.name}:{node.start_point[0] + 1}: {'missing ' if node.is_missing else ''}{node.type}"
        for node in _nodes(tree.root_node)
        if node.is_error or node.is_missing
    ]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def read_pbxproj(path: Path) -> dict[str, Any]:
    """Parse a project file with openstep-plist."""
    parsed: dict[str, Any] = openstep_plist.loads(path.read_text())
    return parsed


def problems(folder: Path, *, products: tuple[str, ...]) -> list[str]:
    """Everything wrong with a generated project: sources, property lists, project file, scheme."""
    (project,) = folder.glob("*.xcodeproj/project.pbxproj")
    try:
        document = read_pbxproj(project)
    except openstep_plist.ParseError as error:
        return [f"project.pbxproj: {error}"]
    found = [
        error
        for path in sorted(folder.rglob("*"))
        if path.suffix in _LANGUAGES
        for error in syntax_errors(path)
    ]
    return found + unquoted(project, document) + check_project(document, folder, products=products)


def unquoted(path: Path, document: dict[str, Any]) -> list[str]:
    """Lines that our writer would not have written of what they mean: values without quotes.

    openstep-plist accepts slashes and dots outside of quotes, as no other parser does.
    """
    graph = Graph()
    graph.objects = document["objects"]
    expected = _without_comments(graph.text(document["rootObject"]))
    return [
        f"project.pbxproj: {line.strip()}"
        for line in _without_comments(path.read_text()) - expected
    ]


def _without_comments(text: str) -> set[str]:
    return {re.sub(r" /\* .*? \*/", "", line) for line in text.splitlines()}
