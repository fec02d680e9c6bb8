"""ExecuTorch's failures become errors of ours, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from etcoreml.errors import ExportError, FullGraphError
from etcoreml.imports import quiet_imports

with quiet_imports():
    from etcoreml.cli import lowering


def test_what_executorch_raises_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(lowering, "to_edge_transform_and_lower", fail)
    with pytest.raises(ExportError, match="cannot lower 'net'") as caught:
        lowering.lower("net", None, None)
    assert "found RuntimeError: first line" in caught.value.message
    assert "second line" not in str(caught.value)


def test_our_own_errors_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise FullGraphError("not whole")

    monkeypatch.setattr(lowering, "to_edge_transform_and_lower", fail)
    with pytest.raises(FullGraphError, match="not whole"):
        lowering.lower("net", None, None)


def test_what_cannot_be_serialised() -> None:
    class Lowered:
        def to_executorch(self) -> None:
            raise RuntimeError("Missing out variants")

    with pytest.raises(ExportError, match="cannot write 'net'; found RuntimeError: Missing out"):
        lowering.serialised("net", Lowered())
