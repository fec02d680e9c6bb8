"""Core ML's own plan. Oracle: coremltools' classes, filled by hand in Core ML's place."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etcoreml.errors import PlanError, UsageError
from etcoreml.mil.ct import coremltools
from etcoreml.placement import core_ml
from etcoreml.placement.core_ml import Planned, core_ml_plan


def _operation(name: str, blocks: Any = ()) -> Any:
    module = coremltools().models.compute_plan
    out = module.MLModelStructureProgramNamedValueType(name=name, type=None)
    return module.MLModelStructureProgramOperation(
        inputs={}, operator_name="ios18.op", outputs=[out], blocks=list(blocks), __proxy__=None
    )


def _block(*operations: Any) -> Any:
    module = coremltools().models.compute_plan
    return module.MLModelStructureProgramBlock(
        inputs=[], operations=list(operations), output_names=[]
    )


class Plan:
    """Stands in for ``MLComputePlan``: every op can run on all units, and prefers the GPU."""

    asked: Any = None

    def __init__(self) -> None:
        module = coremltools().models.compute_plan
        block = _block(_operation("a"), _operation("b", [_block(_operation("c"))]))
        main = module.MLModelStructureProgramFunction(inputs=[], block=block)
        program = module.MLModelStructureProgram(functions={"main": main})
        self.model_structure = SimpleNamespace(program=program)

    @classmethod
    def load_from_path(cls, path: str, compute_units: Any) -> Plan:
        Plan.asked = (path, compute_units)
        return cls()

    def get_compute_device_usage_for_mlprogram_operation(self, operation: Any) -> Any:
        if operation.outputs[0].name == "a":
            return None
        devices = coremltools().models.compute_device
        kinds = (
            devices.MLNeuralEngineComputeDevice,
            devices.MLGPUComputeDevice,
            devices.MLCPUComputeDevice,
        )
        ne, gpu, cpu = (kind.__new__(kind) for kind in kinds)
        return coremltools().models.compute_plan.MLComputePlanDeviceUsage(gpu, [ne, gpu, cpu])

    def get_estimated_cost_for_mlprogram_operation(self, operation: Any) -> Any:
        if operation.outputs[0].name == "a":
            return None
        return coremltools().models.compute_plan.MLComputePlanCost(weight=0.25)


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this is a Mac whose Core ML makes the plan above."""
    monkeypatch.setattr(core_ml, "is_here", lambda: True)
    monkeypatch.setattr(coremltools().models.compute_plan, "MLComputePlan", Plan)
    monkeypatch.setattr(
        coremltools().models.utils, "compile_model", lambda path, destination: destination
    )


def test_what_it_asks_of_core_ml_exists() -> None:
    """Oracle: coremltools."""
    real = coremltools().models.compute_plan.MLComputePlan
    for name in (
        "load_from_path",
        "model_structure",
        "get_compute_device_usage_for_mlprogram_operation",
        "get_estimated_cost_for_mlprogram_operation",
    ):
        assert hasattr(real, name)
    assert callable(coremltools().models.utils.compile_model)


@pytest.mark.usefixtures("mac")
def test_a_plan() -> None:
    found = core_ml_plan(Path("model.mlmodelc"), "cpu_and_ne")
    assert Plan.asked == ("model.mlmodelc", coremltools().ComputeUnit.CPU_AND_NE)
    known = Planned(("CPU", "GPU", "NE"), "GPU", 0.25)
    assert found == {"main": {"a": Planned((), None, None), "b": known, "c": known}}


@pytest.mark.usefixtures("mac")
def test_a_package_is_compiled_first() -> None:
    core_ml_plan(Path("model.mlpackage"), "all")
    assert Plan.asked[0].endswith("model.mlmodelc")
    assert not Path(Plan.asked[0]).parent.exists()


@pytest.mark.usefixtures("mac")
def test_what_core_ml_says_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, compute_units: Any) -> Any:
        raise ValueError("MLComputePlan is not supported.")

    monkeypatch.setattr(Plan, "load_from_path", refuse)
    with pytest.raises(PlanError, match="is not supported"):
        core_ml_plan(Path("model.mlmodelc"), "all")


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is there")
def test_no_mac() -> None:
    with pytest.raises(UsageError, match="only be had on a Mac"):
        core_ml_plan(Path("model.mlpackage"), "all")
