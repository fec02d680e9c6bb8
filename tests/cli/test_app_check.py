"""``etcoreml app check`` and ``etcoreml compare --device-report``.

No device is here: the report is simulated, and labelled so.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Cli
from tests.deploy.check.reports import simulated

SOURCE = "tests.cli.models:net"


@pytest.fixture
def report(net_path: Path, tmp_path: Path) -> Path:
    document = simulated(hashlib.sha256(net_path.read_bytes()).hexdigest())
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    return path


def test_writes_a_package(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 3, 8, 8), np.float32))
    folder = tmp_path / "check"
    outcome = cli(
        *("app", "check", folder, "--model", net_path, "--input", tmp_path / "x.npy"),
        *("--source", SOURCE, "--iterations", 7, "--min-snr", 45),
    )
    assert outcome.code == 0, outcome.stderr
    assert "faithful, fast, eager" in outcome.stdout
    stored = folder / "Sources/DeviceCheck/Reference"
    assert np.fromfile(stored / "input_0.bin", np.float32).tolist() == [1.0] * 192
    index = json.loads((stored / "index.json").read_text())
    assert (index["iterations"], index["min_snr_db"]) == (7, 45.0)
    # Oracle: eager. The .pte is in fp32, where the engine is close to it.
    values = {
        each["name"]: np.fromfile(stored / each["outputs"][0]["file"], np.float32)
        for each in index["references"]
    }
    assert np.allclose(values["fast"], values["eager"], atol=1e-5)
    assert (
        "XCTAssertGreaterThanOrEqual(worst, 45.0, unit)"
        in (folder / "App/DeviceCheckAppTests/DeviceCheckAppTests.swift").read_text()
    )


def test_the_same_cases_for_cpp(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    """Oracle: ExecuTorch's own verification."""
    folder = tmp_path / "check"
    cli("app", "check", folder, "--model", net_path, "--source", SOURCE)
    assert "etcoreml bundle cases.bpte" in (folder / "README.md").read_text()
    outcome = cli("bundle", folder / "cases.bpte", "--json")
    assert outcome.code == 0, outcome.stderr
    cases = json.loads(outcome.stdout)["cases"]
    assert [each["passed"] for each in cases] == [True] * 3


def test_json(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    outcome = cli("app", "check", tmp_path / "check", "--model", net_path, "--json")
    document = json.loads(outcome.stdout)
    assert document["references"] == ["faithful", "fast"]
    assert all((tmp_path / "check" / path).is_file() for path in document["files"])


def test_apples_delegate_is_the_reference_where_it_serves(
    cli: Cli, net_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import etcoreml

    asked: list[object] = []
    load = etcoreml.load

    def noted(*arguments: Any, **options: Any) -> Any:
        asked.append(options.get("numerics"))
        return load(*arguments, **options)

    status = etcoreml.BridgeStatus(registered=False, reason="Apple's own serves")
    monkeypatch.setattr(etcoreml, "bridge", status)
    monkeypatch.setattr(etcoreml, "load", noted)
    folder = tmp_path / "check"
    outcome = cli("app", "check", folder, "--model", net_path, "--source", SOURCE)
    assert outcome.code == 0, outcome.stderr
    assert asked == [None]
    assert "numerics" not in outcome.stderr
    index = json.loads((folder / "Sources/DeviceCheck/Reference/index.json").read_text())
    assert [each["name"] for each in index["references"]] == ["core_ml", "eager"]
    assert "Core ML on the Mac" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "missing.pte"), "there is no file 'missing.pte'"),
        (("--model", "{net}", "--input", "missing.npy"), "there is no file 'missing.npy'"),
        (("--model", "{net}", "--source", "nothing"), "unknown MODEL 'nothing'"),
        (("--model", "{net}", "--source", "tests.cli.models:acosh"), "cannot run these inputs"),
        (("--model", "{net}", "--std", "0"), "--std must not be zero"),
        (("--model", "{net}", "--iterations", "0"), "Invalid value"),
    ],
)
def test_wrong_usage(
    cli: Cli, net_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [each.format(net=net_path) for each in arguments]
    outcome = cli("app", "check", tmp_path / "check", *given)
    assert outcome.code in (1, 2)
    assert message in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_shows_a_report_beside_this_machine(cli: Cli, net_path: Path, report: Path) -> None:
    outcome = cli("compare", net_path, "--device-report", report)
    assert outcome.code == 0, outcome.stderr
    rows = {line.split("  ")[0]: line.split() for line in outcome.stdout.splitlines()}
    assert rows["cpu_and_gpu"][1:] == [
        "210.50",
        "30.25",
        "1.50",
        "1.75",
        "2",
        "MB",
        "61.5",
        "61.5",
    ]
    assert rows["here, fast"][-2:] == ["63.0", "-"]
    assert rows["here, faithful"][-2:] == ["-", "63.0"]
    assert "failed: no Neural Engine" in outcome.stdout
    assert "no device made this report" in outcome.stdout
    assert "not run on Core ML" in outcome.stdout


def test_a_report_as_json(cli: Cli, net_path: Path, report: Path) -> None:
    document = json.loads(cli("compare", net_path, "--device-report", report, "--json").stdout)
    assert document["simulated"] is True
    assert [each["compute_unit"] for each in document["units"]] == [
        "cpu_only",
        "cpu_and_gpu",
        "cpu_and_ne",
        "all",
    ]
    assert document["units"][3]["worst_snr_db"] == 48.25
    assert {each["numerics"] for each in document["here"]} == {"fast", "faithful"}
    assert all(each["median_ms"] > 0 for each in document["here"])


def test_apples_delegate_is_timed_as_it_is(
    cli: Cli, net_path: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import etcoreml

    status = etcoreml.BridgeStatus(registered=False, reason="Apple's own serves")
    monkeypatch.setattr(etcoreml, "bridge", status)
    outcome = cli("compare", net_path, "--device-report", report)
    assert outcome.code == 0, outcome.stderr
    rows = [line for line in outcome.stdout.splitlines() if line.startswith("here, ")]
    assert [row.split("  ")[0] for row in rows] == ["here, Core ML"]
    assert "this machine: Apple's own serves" in outcome.stdout


@pytest.mark.parametrize(("units", "least", "code"), [(4, 1, 3), (2, 61, 0), (2, 62, 3)])
def test_threshold(
    cli: Cli, net_path: Path, report: Path, units: int, least: int, code: int
) -> None:
    """Oracle: the simulated report, where the third of four units failed."""
    document: dict[str, Any] = json.loads(report.read_text())
    document["units"] = document["units"][:units]
    report.write_text(json.dumps(document))
    outcome = cli("compare", net_path, "--device-report", report, "--min-snr", least)
    assert outcome.code == code, outcome.stderr
    assert f"{least} dB: {'met' if code == 0 else 'missed'}" in outcome.stdout


def test_a_report_of_another_program(cli: Cli, acosh_path: Path, report: Path) -> None:
    outcome = cli("compare", acosh_path, "--device-report", report)
    assert outcome.code == 1
    assert "is of another program" in outcome.stderr


def test_a_report_of_another_method(cli: Cli, net_path: Path, report: Path) -> None:
    document = json.loads(report.read_text())
    document["model"]["method"] = "backward"
    report.write_text(json.dumps(document))
    outcome = cli("compare", net_path, "--device-report", report)
    assert outcome.code == 1
    assert "found backward; expected forward" in outcome.stderr


def test_a_damaged_report(cli: Cli, net_path: Path, report: Path) -> None:
    report.write_bytes(report.read_bytes()[:-20])
    outcome = cli("compare", net_path, "--device-report", report)
    assert outcome.code == 1
    assert "is not JSON" in outcome.stderr


@pytest.mark.parametrize("option", [("--input", "x.npy"), ("--numerics", "fast"), ("--limit", "3")])
def test_options_of_the_other_comparison(
    cli: Cli, net_path: Path, report: Path, option: tuple[str, str]
) -> None:
    outcome = cli("compare", net_path, "--device-report", report, *option)
    assert outcome.code == 2
    assert f"{option[0]} does not go with --device-report" in outcome.stderr
