"""``etcoreml export --report``, ``--explain``, and ops that nothing could run.

Oracles: the .pte's own operators and delegates, and ExecuTorch's refusal to load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etcoreml.runtime.pte import parse_pte
from tests.cli.conftest import Cli

NET = "tests.cli.models:net"
ACOSH = "tests.cli.models:acosh"
INVERSE = "tests.cli.models:inverse"


def test_report_as_json(cli: Cli, tmp_path: Path) -> None:
    path, report = tmp_path / "a.pte", tmp_path / "report.json"
    outcome = cli("export", ACOSH, "-o", path, "--report", report)
    assert outcome.code == 0, outcome.stderr
    assert f"report     {report}" in outcome.stdout
    document = json.loads(report.read_text())
    (program,) = document["programs"]
    (method,) = parse_pte(path.read_bytes()).methods
    outside = [each["op"] for each in program["nodes"] if not each["delegated"]]
    kernels = {f"aten::{op.split('.')[1]}.out" for op in outside}
    assert kernels == set(method.operators)
    assert len(program["delegates"]) == len(method.delegates)
    assert program["method"] == method.name
    acosh = next(each for each in program["nodes"] if each["op"] == "aten.acosh.default")
    assert acosh["source"]["code"].startswith("return torch.acosh(x.abs() + 1.5) * 2")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.pte", "report.json"]


def test_report_as_text_is_what_explain_prints(cli: Cli, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    outcome = cli("export", ACOSH, "-o", tmp_path / "a.pte", "--report", report, "--explain")
    assert outcome.code == 0, outcome.stderr
    summary, _, rest = report.read_text().partition("\n\n")
    assert summary.startswith("Delegated: ")
    assert f"delegated  {summary.removeprefix('Delegated: ')}\n" in outcome.stdout
    assert rest in outcome.stdout
    assert "try   write torch.log" in outcome.stdout
    assert "Where delegates break" in outcome.stdout


def test_explain_when_all_is_delegated(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export", NET, "-o", tmp_path / "net.pte", "--explain")
    assert outcome.code == 0
    assert "Left out of Core ML" not in outcome.stdout
    assert "\n     in   float32 (1, 3, 8, 8), 768 B\n" in outcome.stdout


def test_explain_in_json(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.pte"
    document = json.loads(cli("export", ACOSH, "-o", path, "--explain", "--json").stdout)
    assert document["report"]["schema"] == "etcoreml.delegation-report"
    assert document["left_out"][0]["advice"].startswith("write torch.log")
    assert "report" not in json.loads(cli("export", ACOSH, "-o", path, "--json").stdout)


def test_the_table_names_the_line(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export", ACOSH, "-o", tmp_path / "a.pte")
    (row,) = (line for line in outcome.stdout.splitlines() if line.startswith("aten.acosh"))
    assert "models.py:" in row
    assert "--explain, for where" in outcome.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("report.html", "found .html; expected a .json or .txt file"),
        ("report", "found no suffix"),
        ("missing/report.json", "there is no directory"),
    ],
)
def test_the_file_is_checked_first(cli: Cli, tmp_path: Path, name: str, message: str) -> None:
    outcome = cli("export", NET, "-o", tmp_path / "net.pte", "--report", tmp_path / name)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert "Loading" not in outcome.stderr


def test_a_failed_write_leaves_neither_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executorch.exir import ExecutorchProgramManager

    def fail(self: Any, file: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ExecutorchProgramManager, "write_to_file", fail)
    outcome = cli("export", NET, "-o", tmp_path / "n.pte", "--report", tmp_path / "r.json")
    assert outcome.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_refused_graph_is_explained(cli: Cli, tmp_path: Path) -> None:
    report = tmp_path / "r.txt"
    options = ("--lower-full-graph", "--explain", "--report", report)
    outcome = cli("export", ACOSH, "-o", tmp_path / "a.pte", *options)
    assert outcome.code == 1
    assert "Core ML cannot take the whole graph" in outcome.stderr
    assert report.read_text() == outcome.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["r.txt"]


@pytest.mark.parametrize(
    ("model", "op"),
    [
        ("inverse", "aten.linalg_inv_ex.default"),
        ("cholesky", "aten.linalg_cholesky_ex.default"),
        ("qr", "aten.linalg_qr.default"),
        ("det", "aten._linalg_det.default"),
        ("svd", "aten._linalg_svd.default"),
        ("solve", "aten._linalg_solve_ex.default"),
        ("matrix_exp", "aten.linalg_matrix_exp.default"),
        ("nextafter", "aten.nextafter.default"),
        ("unique", "aten._unique2.default"),
        ("bincount", "aten.bincount.default"),
    ],
)
def test_ops_that_nothing_runs(cli: Cli, tmp_path: Path, model: str, op: str) -> None:
    path = tmp_path / "out.pte"
    outcome = cli("export", f"tests.cli.models:{model}", "-o", path)
    assert outcome.code == 1
    assert outcome.stdout == ""
    error = outcome.stderr[outcome.stderr.index("error: ") :].splitlines()
    assert error[0].endswith("ExecuTorch has no kernel to run them outside:")
    assert error[1].startswith(f"  {op} at ")
    assert "models.py:" in error[1]
    assert "or link a kernel for it into the app" in error[2]
    assert error[3].startswith("hint:  Change those lines")
    assert len(error) == 4
    assert list(tmp_path.iterdir()) == []


def test_missing_kernels_may_be_the_app_s_own(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "out.pte"
    outcome = cli("export", "tests.cli.models:nextafter", "-o", path, "--allow-missing-kernels")
    assert outcome.code == 0, outcome.stderr
    (method,) = parse_pte(path.read_bytes()).methods
    assert set(method.operators) == {"aten::nextafter.out"}
    assert cli("run", path).code == 1  # here there is none
