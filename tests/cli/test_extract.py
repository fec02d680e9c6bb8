"""``etcoreml extract``. Oracles: how the programs were made, and ``etcoreml inspect``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli


def test_what_it_prints_is_what_is_there(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    outcome = cli("extract", acosh_path, "-o", folder)
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    printed = [Path(line.split("  ")[0]) for line in lines if not line.startswith(" ")]
    assert sorted(printed) == sorted(folder.iterdir())
    assert any(line.startswith("  forward, delegate 0: ") for line in lines)
    for path in printed[:-1]:
        assert cli("inspect", path).code == 0


def test_json(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    outcome = cli("extract", acosh_path, "-o", tmp_path, "--json")
    document = json.loads(outcome.stdout)
    inspected = json.loads(cli("inspect", acosh_path, "--json").stdout)["methods"][0]["delegates"]
    assert document["program"] == str(acosh_path)
    for model, delegate in zip(document["models"], inspected, strict=True):
        assert Path(model["path"]).is_dir()
        assert model["identifier"] == delegate["identifier"]
        (use,) = model["delegates"]
        assert use["inputs"] == delegate["inputs"]
        assert use["outputs"] == delegate["outputs"]
        assert use["compile_specs"] == delegate["compile_specs"]
    index = json.loads((tmp_path / "models.json").read_text())["models"]
    assert [str(tmp_path / each["path"]) for each in index] == [
        each["path"] for each in document["models"]
    ]


def test_force(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    assert cli("extract", net_path, "-o", tmp_path).code == 0
    outcome = cli("extract", net_path, "-o", tmp_path)
    assert outcome.code == 2
    assert "--force" in outcome.stderr
    assert cli("extract", net_path, "-o", tmp_path, "--force").code == 0


def test_what_cannot_be(cli: Cli, net_path: Path, linear_package: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(net_path.read_bytes()[:1000])
    for model, folder, code, message in (
        ("absent.pte", tmp_path / "out", 2, "there is no file 'absent.pte'"),
        (linear_package, tmp_path / "out", 2, "expected a .pte"),
        (net_path, tmp_path / "a" / "b", 2, "there is no directory"),
        (net_path, damaged, 2, "it is a file"),
        (damaged, tmp_path / "out", 1, "is damaged"),
    ):
        outcome = cli("extract", model, "-o", folder)
        assert outcome.code == code, (model, outcome.stderr)
        assert message in outcome.stderr
        assert not (tmp_path / "out").exists()
