"""Every translator agrees with coremltools' definition of its op, has a case and is imported."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import etcoreml.engine.ops
from etcoreml.engine.registry import TRANSLATORS, translates
from etcoreml.errors import DuplicateTranslatorError
from etcoreml.mil.ct import coremltools

FAMILIES = sorted(module.name for module in pkgutil.iter_modules(etcoreml.engine.ops.__path__))

SERIALISED = {"write_state": {"input", "data"}}
"""Ops of the file format that coremltools has no class for, with their inputs."""

# Inputs that are blocks or Python functions in the builder and are not written to files.
NOT_SERIALISED = re.compile("^_")


def _versions(op_type: str) -> list[Any]:
    coremltools()
    from coremltools.converters.mil.mil.ops.registry import (  # noqa: TID251 - the definitions
        SSAOpRegistry,
    )

    return list(SSAOpRegistry.core_ops[op_type].values())


def _defined_inputs(op_type: str) -> tuple[set[str], set[str]]:
    """Return every input of any version, and those that are required in all of them."""
    if op_type in SERIALISED:
        return SERIALISED[op_type], SERIALISED[op_type]
    union: set[str] = set()
    required: set[str] | None = None
    for version in _versions(op_type):
        types = {
            name: kind
            for name, kind in version.input_spec.input_types.items()
            if not NOT_SERIALISED.match(name)
        }
        union |= types.keys()
        needed = {name for name, kind in types.items() if not kind.optional}
        required = needed if required is None else required & needed
    return union, required or set()


@pytest.mark.parametrize("op_type", sorted(TRANSLATORS))
def test_parameters_are_the_mil_inputs(op_type: str) -> None:
    union, required = _defined_inputs(op_type)
    parameters = {parameter.name: parameter for parameter in TRANSLATORS[op_type].parameters}
    assert parameters.keys() == union
    # A translator may do without an input only where every version of the op may.
    demanded = {name for name, parameter in parameters.items() if parameter.required}
    assert demanded == required


@pytest.mark.parametrize("op_type", sorted(TRANSLATORS))
def test_spec_names_the_defining_classes(op_type: str) -> None:
    names = TRANSLATORS[op_type].spec.split(", ")
    if op_type in SERIALISED:
        return
    versions = {version.__module__.split(".")[-2] for version in _versions(op_type)}
    assert {name.partition(".")[0] for name in names} == versions
    assert {name.partition(".")[2] for name in names} == {op_type}


@pytest.mark.parametrize("op_type", sorted(TRANSLATORS))
def test_translators_are_documented(op_type: str) -> None:
    assert (TRANSLATORS[op_type].function.__doc__ or "").strip()


def test_every_translator_has_a_case() -> None:
    cases = [
        case.op
        for family in FAMILIES
        for case in importlib.import_module(f"tests.engine.ops.test_{family}").CASES
    ]
    assert sorted(TRANSLATORS.keys() - set(cases)) == []
    assert sorted(set(cases) - TRANSLATORS.keys()) == []


def test_every_op_of_the_registry_has_a_translator() -> None:
    coremltools()
    from coremltools.converters.mil.mil.ops.registry import (  # noqa: TID251 - the definitions
        SSAOpRegistry,
    )

    # Constants are values to the engine; symbolic ones are never written to files.
    values = {"const", "_const_symbolic"}
    assert sorted(SSAOpRegistry.core_ops.keys() - values - TRANSLATORS.keys()) == []


def test_the_table_of_ops_is_up_to_date() -> None:
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, str(root / "scripts" / "gen_docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_every_family_is_imported_by_name() -> None:
    assert sorted(etcoreml.engine.ops.__all__) == FAMILIES


def test_a_second_claim_is_refused() -> None:
    with pytest.raises(DuplicateTranslatorError, match="'relu'"):

        @translates("relu", spec="iOS15.relu")
        def another(x: Any) -> Any:
            return x
