"""``etcoreml plan`` of each kind of model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etcoreml.cli.plan_parts import Whole, exported_unit, parts_of
from etcoreml.errors import PlanError, UsageError
from etcoreml.placement import core_ml
from etcoreml.placement.core_ml import Planned
from tests import mlmodels
from tests.cli.conftest import Cli
from tests.lowering import CoreMLPartitioner, lower, specs

LETTERS = ["none", "some", "many"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear layer in fp16."""
    path = tmp_path_factory.mktemp("planned") / "linear.mlpackage"
    return mlmodels.linear(path, precision="FLOAT16")


def document(cli: Cli, *arguments: object) -> dict[str, Any]:
    outcome = cli("plan", *arguments, "--json", "--estimated")
    assert outcome.code == 0, outcome.stderr
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def test_a_core_ml_model(cli: Cli, package: Path) -> None:
    found = document(cli, package, "--compute-unit", "cpu_and_ne")
    assert found["origin"] == "estimate"
    (function,) = found["functions"]
    assert function["name"] == "main"
    (linear,) = (each for each in function["operations"] if each["type"] == "linear")
    assert linear["supported"] == ["CPU", "NE"]
    assert linear["preferred"] == ["NE"]
    assert linear["neural_engine"] is True
    assert linear["flops"] >= 2 * 2 * 24 * 32
    shares = [each["estimated_work_share"] for each in function["operations"]]
    assert sum(shares) == pytest.approx(1)
    assert sum(function["counts"].values()) == len(function["operations"])
    assert found["devices_here"][0]["name"] == "CPU"


def test_the_table(cli: Cli, package: Path) -> None:
    outcome = cli("plan", package, "--limit", 1, "--estimated")
    assert outcome.code == 0, outcome.stderr
    assert "an estimate, not run on Core ML" in outcome.stdout
    assert "NE or GPU" in outcome.stdout
    assert "depends on the chip" in outcome.stdout
    assert "more rows" in outcome.stderr
    assert "What leaves" not in outcome.stdout


def test_what_leaves(cli: Cli, acosh_path: Path) -> None:
    """The program is in fp32."""
    outcome = cli("plan", acosh_path, "--compute-unit", "cpu_and_ne", "--estimated")
    assert outcome.code == 0, outcome.stderr
    assert "What leaves the Neural Engine, or may" in outcome.stdout
    assert "the engine computes in fp16 (confidence A)" in outcome.stdout
    assert "Export with compute precision float16." in outcome.stdout
    assert "1 node of forward, which ExecuTorch's own kernels run on the CPU" in outcome.stdout


def test_a_pte(cli: Cli, acosh_path: Path) -> None:
    found = document(cli, acosh_path)
    labels = [each["label"] for each in found["functions"]]
    assert labels == ["method forward, delegate 0", "method forward, delegate 1"]
    assert found["nodes_outside"] == {"forward": 1}
    (leaves,) = found["functions"][0]["leaves"]
    assert leaves["verdict"] == "not_capable"
    assert all(url.startswith("https://") for url in leaves["sources"])


def test_the_compute_unit_a_pte_was_exported_for(cli: Cli, tmp_path: Path) -> None:
    import torch

    from etcoreml.mil.ct import coremltools

    unit = coremltools().ComputeUnit.CPU_AND_GPU
    partitioner = CoreMLPartitioner(compile_specs=specs(compute_unit=unit))
    path = tmp_path / "model.pte"
    path.write_bytes(lower(torch.nn.ReLU(), (torch.ones(3),), partitioner=partitioner))
    assert document(cli, path)["compute_unit"] == "cpu_and_gpu"
    assert document(cli, path, "--compute-unit", "cpu_only")["compute_unit"] == "cpu_only"


@pytest.mark.parametrize("units", [("cpu_only", "all"), ("gpu",)])
def test_no_one_compute_unit(package: Path, units: tuple[str, ...]) -> None:
    (function,) = parts_of(str(package), method=None, function=None).parts
    parts = [replace(function, compute_unit=unit) for unit in units]
    with pytest.raises(UsageError, match="no one compute unit"):
        exported_unit(Whole(parts))


def test_a_model_that_is_lowered_first(cli: Cli) -> None:
    (function,) = document(cli, "tests.cli.models:net")["functions"]
    verdicts = {each["type"]: each["verdict"] for each in function["operations"]}
    assert verdicts["conv"] == "capable"
    assert verdicts["linear"] == "unlikely"


def test_nothing_for_core_ml(cli: Cli, tmp_path: Path) -> None:
    import torch

    class Gone(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.acosh(x)

    path = tmp_path / "gone.pte"
    path.write_bytes(lower(Gone(), (torch.ones(3),)))
    outcome = cli("plan", path, "--estimated")
    assert outcome.code == 0, outcome.stderr
    assert "nothing of it goes to Core ML" in outcome.stdout


@pytest.mark.parametrize("build", [mlmodels.flexible_total, mlmodels.counter, mlmodels.detector])
def test_other_models(cli: Cli, tmp_path: Path, build: Callable[[Path], Path]) -> None:
    outcome = cli("plan", build(tmp_path / "model.mlpackage"), "--estimated")
    assert outcome.code == 0, outcome.stderr


def test_a_classifier(cli: Cli, tmp_path: Path) -> None:
    path = mlmodels.classifier(tmp_path / "model.mlpackage", LETTERS)
    (function,) = document(cli, path)["functions"]
    (classify,) = (each for each in function["operations"] if each["type"] == "classify")
    assert classify["preferred"] == ["CPU"]


def test_functions(cli: Cli, tmp_path: Path) -> None:
    first = mlmodels.linear(tmp_path / "first.mlpackage", target="iOS18")
    second = mlmodels.linear(tmp_path / "second.mlpackage", target="iOS18", precision="FLOAT16")
    path = mlmodels.two_functions(tmp_path / "both.mlpackage", first, second)
    assert [each["name"] for each in document(cli, path)["functions"]] == ["one", "two"]
    (one,) = document(cli, path, "--function", "one")["functions"]
    assert one["counts"]["capable"] == 0
    outcome = cli("plan", path, "--function", "three")
    assert outcome.code == 1
    assert "no such function" in outcome.stderr


def test_a_mac(cli: Cli, package: Path, acosh_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core ML's plan beside ours, on a machine that says it is a Mac."""
    asked: list[Path] = []

    def plans(path: Path, unit: str) -> Any:
        assert path.exists()
        asked.append(path)
        return {"main": {"y": Planned(("CPU",), "CPU", 0.5)}}

    monkeypatch.setattr(core_ml, "is_here", lambda: True)
    monkeypatch.setattr("etcoreml.cli.plan_parts.core_ml_plan", plans)
    outcome = cli("plan", package, "--json")
    assert outcome.code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    assert found["origin"] == "core_ml"
    own = {each["name"]: each["core_ml"] for each in found["functions"][0]["operations"]}
    assert own["y"] == {"supported": ["CPU"], "preferred": "CPU", "estimated_cost": 0.5}
    assert None in own.values()
    assert asked == [package]
    outcome = cli("plan", acosh_path, "--measured")
    assert outcome.code == 0, outcome.stderr
    assert "Core ML's plan beside our estimate" in outcome.stdout
    assert len(asked) == 3
    assert not asked[-1].exists()


def test_a_mac_without_plans(cli: Cli, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, unit: str) -> Any:
        what = "plan: Core ML has none"
        raise PlanError(what)

    monkeypatch.setattr(core_ml, "is_here", lambda: True)
    monkeypatch.setattr("etcoreml.cli.plan_parts.core_ml_plan", refuse)
    outcome = cli("plan", package)
    assert outcome.code == 0, outcome.stderr
    assert "what follows is an estimate" in outcome.stderr
    assert cli("plan", package, "--measured").code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("PTE", "--function", "main"), "--function does not apply"),
        (("PACKAGE", "--method", "forward"), "--method does not apply"),
        (("PTE", "--method", "decode"), "no method 'decode'"),
        (("nothing.pte",), "there is no file"),
        (("nothing.mlpackage",), "there is no file"),
        (("nothing",), "unknown MODEL"),
        (("model.bpte",), "the .pte it was made of, or a .mlpackage"),
        (("model.zip",), "expected a .pte, .mlpackage, .mlmodel, .mlmodelc, a .pt2"),
        (("PACKAGE", "--compute-unit", "npu"), "npu"),
        (("PACKAGE", "--limit", "0"), "--limit"),
        pytest.param(
            ("PACKAGE", "--measured"),
            "only be had on a Mac",
            marks=pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is there"),
        ),
    ],
)
def test_wrong_usage(
    cli: Cli, net_path: Path, package: Path, arguments: tuple[object, ...], says: str
) -> None:
    given = {"PTE": net_path, "PACKAGE": package}
    outcome = cli("plan", *(given.get(str(each), each) for each in arguments))
    assert outcome.code == 2
    assert says in outcome.stderr


def test_a_damaged_pte(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pte"
    path.write_bytes(b"not a program")
    outcome = cli("plan", path)
    assert outcome.code == 1
    assert outcome.stderr.count("error:") == 1
    assert "damaged.pte': the file is not a .pte" in outcome.stderr
