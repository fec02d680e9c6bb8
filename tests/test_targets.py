"""The table of deployment targets. Oracle: coremltools 9.0."""

from __future__ import annotations

from etcoreml.imports import quiet_imports
from etcoreml.targets import NAMES, TARGETS

with quiet_imports():
    from etcoreml.mil.ct import coremltools

ct = coremltools()


def test_names_are_those_of_coremltools() -> None:
    members = ct.target.__members__
    lowest = members["iOS15"].value  # the first with ML Programs
    assert set(NAMES) == {name for name, member in members.items() if member.value >= lowest}


def test_every_system_of_a_row_is_one_target() -> None:
    for each in TARGETS:
        assert {ct.target[name].value for name in each.names} == {each.spec_version}
        assert ct._OPSET[each.spec_version] == each.opset


def test_ops_are_those_that_coremltools_registers_first_there() -> None:
    registry = ct.converters.mil.mil.ops.registry.SSAOpRegistry
    known: set[str] = set()
    for each in TARGETS:
        target = ct.target[f"iOS{each.ios}"]
        ops = {name for name, versions in registry.core_ops.items() if target in versions}
        if known:
            assert ops - known == set(each.ops)
        known |= ops
