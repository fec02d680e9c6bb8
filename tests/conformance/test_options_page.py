"""docs/options.md: each row names tests, and they exist. Oracle: the test files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "options.md").read_text()
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| option", "| shapes"))
]
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE)))


@pytest.mark.parametrize("row", ROWS, ids=[row[2:40].split("|")[0].strip() for row in ROWS])
def test_every_row_names_a_test(row: str) -> None:
    assert re.search(r"`tests/[\w/]+\.py::\w+`", row)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_exists(name: str) -> None:
    path, function = name.split("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_compile_spec_has_a_row() -> None:
    """Oracle: the parameters and makers of compile specs."""
    source = (ROOT / "src/etcoreml/compiler/backend.py").read_text()
    (backend,) = [
        each
        for each in ast.parse(source).body
        if isinstance(each, ast.ClassDef) and each.name == "CoreMLBackend"
    ]
    (maker,) = [
        each
        for each in backend.body
        if isinstance(each, ast.FunctionDef) and each.name == "generate_compile_specs"
    ]
    for argument in maker.args.args:
        assert f"`{argument.arg}" in PAGE
