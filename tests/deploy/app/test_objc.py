"""Typed inputs and outputs in Objective-C. Oracles: tree-sitter's grammar; the text, by hand."""

from __future__ import annotations

from pathlib import Path

from etcoreml.deploy.app.project import AppOptions, make_app
from tests.deploy.app.values import EVERY_DTYPE, NUMBERS, program
from tests.deploy.parsers import syntax_errors


def test_every_dtype_and_numbers(tmp_path: Path) -> None:
    model = program([*EVERY_DTYPE, *NUMBERS], [*EVERY_DTYPE, *NUMBERS])
    files = make_app(model, "m.pte", AppOptions("Sample", language="objc")).files
    for name in ("Model.h", "Model.m"):
        path = tmp_path / name
        path.write_text(str(files[f"Sample/{name}"]))
        assert syntax_errors(path) == []
    header, source = ((tmp_path / name).read_text() for name in ("Model.h", "Model.m"))
    assert "@property (nonatomic, copy) NSData *float16;" in header
    assert "@property (nonatomic) NSInteger steps;" in header
    assert "@property (nonatomic, readonly) BOOL flag;" in header
    assert "[ExecuTorchValue valueWithDouble:self.scale]" in source
    assert "_flag = values[11].boolValue;" in source
    assert "ExecuTorchDataTypeHalf" in source
