"""Descriptions of features by name."""

from __future__ import annotations

import pytest

from etcoreml.errors import ModelError
from etcoreml.mil import Feature
from etcoreml.mil.proto import module
from etcoreml.runtime.descriptions import FeatureDescriptions


def test_of_a_specification() -> None:
    description = module("Model_pb2").ModelDescription()
    for name in ("x", "y"):
        description.input.add(name=name, shortDescription=f"{name}?")
    found = FeatureDescriptions(description.input)
    assert dict(found) == {"x": "x?", "y": "y?"}
    assert len(found) == 2
    assert "x" in found
    assert "z" not in found
    assert repr(found) == "Features(x, y)"
    found["y"] = "Why."
    assert description.input[1].shortDescription == "Why."
    with pytest.raises(KeyError, match=r"no feature 'z'; expected one of \['x', 'y'\]"):
        found["z"] = ""
    with pytest.raises(KeyError):
        found["z"]


def test_of_a_compiled_model() -> None:
    found = FeatureDescriptions((Feature("x", "multiArray", description="In."),))
    assert found["x"] == "In."
    with pytest.raises(ModelError, match="compiled model cannot be changed"):
        found["x"] = "Out."
