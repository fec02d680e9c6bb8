"""Options of ``etcoreml.load``. Oracle: what the delegate asks the engine for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.errors import FeatureTypeError, OptionError
from etcoreml.runtime import delegate, load_options
from tests.lowering import CoreMLPartitioner, coremltools, lower, specs

ct = coremltools()
UNITS = {unit.name.lower(): unit for unit in ct.ComputeUnit}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the delegate asked the engine for, call by call."""
    calls: list[dict[str, Any]] = []
    compile_function = delegate.compile_function

    def recorded(program: Any, **options: Any) -> Any:
        calls.append(options)
        return compile_function(program, **options)

    monkeypatch.setattr(delegate, "compile_function", recorded)
    return calls


@pytest.fixture(scope="module")
def by_unit() -> dict[str, bytes]:
    """A program lowered for each compute unit."""
    return {
        name: lower(
            nn.ReLU(),
            (torch.zeros(2),),
            partitioner=CoreMLPartitioner(compile_specs=specs(compute_unit=unit)),
        )
        for name, unit in UNITS.items()
    }


@pytest.mark.parametrize("unit", UNITS)
def test_the_compile_spec_is_obeyed(
    unit: str, by_unit: dict[str, bytes], asked: list[dict[str, Any]]
) -> None:
    etcoreml.load(by_unit[unit]).load("forward")
    assert [each["compute_unit"] for each in asked] == [unit]


@pytest.mark.parametrize("unit", [*UNITS, ct.ComputeUnit.CPU_ONLY, etcoreml.ComputeUnit.ALL])
def test_compute_unit_goes_before_the_compile_spec(
    unit: Any, by_unit: dict[str, bytes], asked: list[dict[str, Any]]
) -> None:
    program = etcoreml.load(by_unit["cpu_and_ne"], compute_unit=unit)
    assert program.forward(torch.tensor([-1.0, 2.0]))[0].tolist() == [0.0, 2.0]
    assert [each["compute_unit"] for each in asked] == [getattr(unit, "name", unit).lower()]


def test_an_option_is_not_the_next_program_s(
    by_unit: dict[str, bytes], asked: list[dict[str, Any]]
) -> None:
    first = etcoreml.load(by_unit["all"], compute_unit="cpu_only")
    second = etcoreml.load(by_unit["all"])
    second.load("forward")
    first.load("forward")
    assert [each["compute_unit"] for each in asked] == ["all", "cpu_only"]


@pytest.mark.parametrize("given", ["", "folder", Path("folder")])
def test_cache_dir(given: Any, by_unit: dict[str, bytes], asked: list[dict[str, Any]]) -> None:
    etcoreml.load(by_unit["all"], cache_dir=given).load("forward")
    assert [each["cache_dir"] for each in asked] == [str(given) if given else ""]


def test_numerics(by_unit: dict[str, bytes], asked: list[dict[str, Any]]) -> None:
    etcoreml.load(by_unit["all"], numerics="faithful").load("forward")
    etcoreml.load(by_unit["all"]).load("forward")
    assert [each["numerics"] for each in asked] == ["faithful", "fast"]
    with pytest.raises(OptionError, match="found 'exact'; expected fast, faithful, turbo"):
        etcoreml.load(by_unit["all"], numerics="exact")  # type: ignore[arg-type]


def test_values_that_mean_nothing(by_unit: dict[str, bytes]) -> None:
    with pytest.raises(OptionError, match="found 'tpu'; expected one of all, cpu_only"):
        etcoreml.load(by_unit["all"], compute_unit="tpu")
    with pytest.raises(FeatureTypeError, match="compute unit"):
        etcoreml.load(by_unit["all"], compute_unit=1)
    with pytest.raises(FeatureTypeError, match="cache_dir is no path; found 1"):
        etcoreml.load(by_unit["all"], cache_dir=1)  # type: ignore[arg-type]


def test_where_apple_s_delegate_serves_options_are_refused(
    by_unit: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = etcoreml.BridgeStatus(registered=False, reason="Apple's own serves")
    monkeypatch.setattr(load_options.etcoreml, "bridge", status)
    with pytest.raises(OptionError, match=r"compute_unit; found Apple's own(.|\n)*Swift"):
        etcoreml.load(by_unit["all"], compute_unit="cpu_only")
    etcoreml.load(by_unit["all"])
