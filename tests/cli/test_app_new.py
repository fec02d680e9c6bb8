"""``etcoreml app new``: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_writes_a_project(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\nbird\n")
    outcome = cli("app", "new", folder, "--model", net_path, "--labels", labels, "--mean", "1,2,3")
    assert outcome.code == 0, outcome.stderr
    assert "Net, classifies pictures" in outcome.stdout
    assert "iOS 17.0 or later" in outcome.stdout
    assert "not built here" in outcome.stdout
    assert (folder / "Net.xcodeproj/project.pbxproj").is_file()
    assert (folder / "Net/Resources/labels.txt").read_text() == "cat\ndog\nbird"
    assert "[1.0, 2.0, 3.0]" in (folder / "Net/Pictures.swift").read_text()


def test_json(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    outcome = cli("app", "new", tmp_path / "app", "--model", acosh_path, "--json", "--name", "Mine")
    document = json.loads(outcome.stdout)
    assert document["kind"] == "generic"
    assert document["project"] == "Mine.xcodeproj"
    assert document["products"] == ["executorch", "backend_coreml", "kernels_optimized"]
    assert all((tmp_path / "app" / path).is_file() for path in document["files"])


def test_an_empty_folder_will_do(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    assert cli("app", "new", tmp_path / "app", "--model", acosh_path).code == 0


def test_nothing_is_overwritten(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/mine.txt").write_text("mine")
    outcome = cli("app", "new", tmp_path / "app", "--model", acosh_path)
    assert outcome.code == 2
    assert "is not empty" in outcome.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["app", "mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "missing.pte"), "there is no file 'missing.pte'"),
        (("--model", "model.mlpackage"), "is no .pte"),
        (("--model", "{net}", "--name", "has space"), "cannot be an app's"),
        (("--model", "{net}", "--name", "SwiftUI"), "a name that its own modules have"),
        (("--model", "{net}", "--labels", "missing.txt"), "cannot read 'missing.txt'"),
        (("--model", "{net}", "--mean", "1,2"), "--mean is no number"),
        (("--model", "{net}", "--std", "a"), "--std is no number"),
        (("--model", "{net}", "--method", "backward"), "has no method 'backward'"),
        (("--model", "{net}", "--platform", "watchos"), "Invalid value"),
    ],
)
def test_wrong_usage(
    cli: Cli, net_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [each.format(net=net_path) for each in arguments]
    outcome = cli("app", "new", tmp_path / "app", *given)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_program(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pte").write_bytes(net_path.read_bytes()[:200])
    outcome = cli("app", "new", tmp_path / "app", "--model", tmp_path / "cut.pte")
    assert outcome.code == 1
    assert "cut.pte': the .pte is damaged" in outcome.stderr
    assert not (tmp_path / "app").exists()


def test_a_program_without_core_ml(cli: Cli, tmp_path: Path) -> None:
    import torch
    from executorch.exir import to_edge

    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    exported = torch.export.export(Double(), (torch.ones(2),))
    (tmp_path / "plain.pte").write_bytes(to_edge(exported).to_executorch().buffer)
    outcome = cli("app", "new", tmp_path / "app", "--model", tmp_path / "plain.pte")
    assert outcome.code == 1
    assert "has nothing for Core ML" in outcome.stderr
