"""Compute units in every spelling. Oracle: coremltools' enumeration."""

from __future__ import annotations

import pytest

from etcoreml.errors import FeatureTypeError, OptionError
from etcoreml.mil.ct import coremltools
from etcoreml.runtime.compute_unit import ComputeUnit, engine_name


def test_ours_has_coremltools_names_and_values() -> None:
    theirs = coremltools().ComputeUnit
    assert {each.name: each.value for each in ComputeUnit} == {
        each.name: each.value for each in theirs
    }


@pytest.mark.parametrize("unit", list(ComputeUnit))
def test_every_spelling_means_the_same(unit: ComputeUnit) -> None:
    theirs = coremltools().ComputeUnit[unit.name]
    spellings = (unit, theirs, unit.name, unit.name.lower())
    assert {engine_name(each) for each in spellings} == {unit.name.lower()}


def test_others_are_refused() -> None:
    with pytest.raises(OptionError, match="found 'gpu'; expected one of all, cpu_only"):
        engine_name("gpu")
    with pytest.raises(TypeError, match="found int"):
        engine_name(1)
    with pytest.raises(FeatureTypeError):
        engine_name(None)
