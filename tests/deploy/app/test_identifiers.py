"""Names made from those of a model. Oracle: by hand, and Swift's keywords."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcoreml.deploy.app.identifiers import app_name, variables
from etcoreml.errors import UsageError


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("my-model_v2.pte", "MyModelV2"),
        ("123.pte", "Model123"),
        ("swiftUI.pte", "SwiftUIApp"),
        ("模型.pte", "Model"),
        ("x" * 80 + ".pte", "X" + "x" * 49),
    ],
)
def test_app_names(model: str, expected: str) -> None:
    found = app_name(None, Path(model))
    assert found == (f"{expected}App" if expected == "Model" else expected)
    if expected != "Model":
        assert app_name(found, Path("other.pte")) == found


@pytest.mark.parametrize("name", ["", "lower", "Has Space", "Has-Dash", "ExecuTorch", "A" * 51])
def test_names_that_no_app_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be an app's"):
        app_name(name, Path("model.pte"))


def test_variables_are_all_different() -> None:
    names = ["a.b", "a_b", "aB", "self", "", "é", "new", "newer", "init_state"]
    found = variables(names)
    assert len(set(found)) == len(names)
    assert found[3] == "self_"
    assert found[6] == "valueNew"
    assert found[7] == "newer"
    assert found[8] == "valueInitState"
    assert all(each.isidentifier() and each.isascii() for each in found)
