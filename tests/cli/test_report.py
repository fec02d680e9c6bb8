"""``etcoreml report`` of each kind of model, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.filterwarnings(
    "ignore:Output Buffer not found", "ignore:The given buffer", "ignore:Unsupported kwarg"
)
FEW = ("--iterations", 3, "--warmup", 1)


def reported(cli: Cli, *arguments: object) -> dict[str, Any]:
    outcome = cli("report", *arguments, *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert (document["schema"], document["version"]) == ("etcoreml.report", 1)
    nodes = [each for each in document["graph"]["nodes"] if each["kind"] != "input"]
    assert document["graph"]["total"] == len(nodes)
    assert document["graph"]["inside"] == sum(each["kind"] == "core_ml" for each in nodes)
    time = document["time"]
    assert time["iterations"] == 3
    led = [each["operation"] for each in document["graph"]["nodes"] if each["leads"]]
    assert len(led) == len(set(led)), "an operation's time is shown once"
    assert not any(str(Path.cwd()) in text for text in outcome.stdout.splitlines())
    return document


def test_a_model_that_is_lowered(cli: Cli) -> None:
    document = reported(cli, "tests.cli.models:blocks")
    assert document["kind"] == "lowered"
    assert document["time"]["inputs"] == "the model's example inputs"
    nodes = {each["id"]: each for each in document["graph"]["nodes"]}
    (outside,) = (each for each in nodes.values() if each["kind"] == "outside")
    assert outside["op"] == "aten.acosh.default"
    assert "coremltools" in outside["reason"]
    assert outside["operation"] is not None
    convolutions = [each for each in nodes.values() if each["op"] == "aten.conv2d.default"]
    assert [each["path"] for each in convolutions] == [
        ["stem"],
        *(["blocks", str(i), "0"] for i in range(3)),
    ]
    # Batch norm is folded into the convolution, which leads: it has the most FLOPs.
    assert all(each["leads"] for each in convolutions)
    assert 40 < document["precision"]["outputs"][0]["snr_db"] < 120
    assert document["precision_missing"] == ""
    assert document["weights"]["dtypes"][0]["dtype"] == "fp16"
    assert document["options"]["minimum_deployment_target"] == "iOS15"
    assert document["environment"]["executorch"].startswith("1.5")
    plan = document["plan"]
    assert (plan["origin"], plan["compute_unit"]) == ("estimate", "cpu_and_ne")
    assert sum(each["estimated_work_share"] for each in plan["operations"]) == pytest.approx(1)
    assert {"conv", "linear"} <= {each["operation"].split(":")[1] for each in plan["operations"]}


def test_a_program(cli: Cli, acosh_path: Path) -> None:
    document = reported(cli, acosh_path)
    assert document["kind"] == "program"
    assert document["graph"]["delegates"] == 2
    assert document["time"]["inputs"] == "random tensors"
    assert document["precision"] is None
    assert "--etrecord" in document["precision_missing"]
    (outside,) = (each for each in document["graph"]["nodes"] if each["kind"] == "outside")
    assert document["time"]["operations"][outside["operation"]]["name"] == "acosh.out"


def test_a_program_with_its_record(cli: Cli, tmp_path: Path) -> None:
    pte, record = tmp_path / "net.pte", tmp_path / "net.etrecord"
    assert cli("export", "tests.cli.models:net", "-o", pte, "--etrecord", record).code == 0
    document = reported(cli, pte, "--etrecord", record, "--numerics", "fast")
    assert document["precision"]["numerics"] == "fast"
    (conv,) = (each for each in document["graph"]["nodes"] if each["op"] == "conv")
    assert conv["path"] == ["delegate 0", "0"]
    assert document["time"]["operations"][conv["operation"]]["path"] == conv["path"]
    assert document["time"]["inputs"] == "the model's example inputs"


def test_a_core_ml_model(cli: Cli, linear_package: Path) -> None:
    document = reported(cli, linear_package, "--threads", 1)
    assert (document["kind"], document["function"]) == ("core_ml", "main")
    assert document["graph"]["delegates"] is None
    assert document["weights"]["tensors"][0]["shape"] == [32, 24]
    (layer,) = (each for each in document["graph"]["nodes"] if each["op"] == "linear")
    assert layer["leads"]
    assert layer["inputs"] == ["x"]


def test_the_plan_is_that_of_etcoreml_plan(cli: Cli, net_path: Path) -> None:
    unit = ("--compute-unit", "cpu_and_gpu")
    plan = reported(cli, net_path, *unit)["plan"]
    (function,) = json.loads(cli("plan", net_path, *unit, "--json").stdout)["functions"]
    expected = [each for each in function["operations"] if each["verdict"] != "no_device"]
    assert plan["compute_unit"] == "cpu_and_gpu"
    for row, each in zip(plan["operations"], expected, strict=True):
        assert row["operation"] == f"{each['name']}:{each['type']}"
        assert row["preferred"] == " or ".join(each["preferred"]) == "GPU"
        assert row["supported"] == each["supported"]
        assert row["estimated_work_share"] == pytest.approx(each["estimated_work_share"])
        assert row["confidence"] in plan["confidence"]


@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_files(cli: Cli, net_path: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    outcome = cli("report", net_path, *FEW, "-o", path)
    assert outcome.code == 0, outcome.stderr
    assert str(path) in outcome.stdout
    assert "not run on Core ML" in outcome.stdout
    assert "an estimate for cpu_and_ne" in outcome.stdout
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>" if suffix == ".html" else "{")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_failure_leaves_what_was_there(
    cli: Cli, net_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def interrupted(document: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("etcoreml.report.page.page", interrupted)
    assert cli("report", net_path, *FEW, "-o", path).code == 130
    broken = tmp_path / "broken.pte"
    broken.write_bytes(net_path.read_bytes()[:500])
    assert cli("report", broken, *FEW, "-o", path).code == 1
    assert path.read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"report.html", "broken.pte"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("PTE",), "nowhere to write to"),
        (("PTE", "-o", "report.pdf"), "a .html or .json file"),
        (("PTE", "-o", "nowhere/report.html"), "there is no directory"),
        (("PTE", "--json", "--threads", 1), "--threads does not apply"),
        (("PTE", "--json", "--function", "main"), "--function does not apply"),
        (("PTE", "--json", "--numerics", "fast"), "needs --etrecord"),
        (("PTE", "--json", "--etrecord", "none.etrecord"), "there is no file"),
        (("PTE", "--json", "--etrecord", "pyproject.toml"), "executorch cannot read"),
        (("PTE", "--json", "--compute-unit", "npu"), "'npu' is not one of"),
        (("PTE", "--json", "--method", "decode"), "no method 'decode'"),
        (("PTE", "--json", "--input", "x.npy"), "there is no file 'x.npy'"),
        (("PACKAGE", "--json", "--method", "forward"), "--method does not apply"),
        (("PACKAGE", "--json", "--function", "other"), "no such function"),
        (("tests.cli.models:net", "--json", "--etrecord", "pyproject.toml"), "is of a .pte"),
        (("tests.cli.models:net", "--json", "--method", "forward"), "is of a .pte"),
        (("nothing.pte", "--json"), "there is no file"),
        (("nothing", "--json"), "unknown MODEL"),
        (("model.bpte", "--json"), "the .pte it was made of, or a .mlpackage"),
        (("model.zip", "--json"), "expected a .pte, .mlpackage, .mlmodel, .mlmodelc, a .pt2"),
    ],
)
def test_wrong_usage(
    cli: Cli, net_path: Path, linear_package: Path, arguments: tuple[object, ...], says: str
) -> None:
    given = {"PTE": net_path, "PACKAGE": linear_package}
    outcome = cli("report", *(given.get(str(each), each) for each in arguments))
    assert outcome.code in (1, 2)
    assert says in outcome.stderr
    assert outcome.stdout == ""
