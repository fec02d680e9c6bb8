"""``etcoreml app frameworks``. Oracle: the plan it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from etcoreml.cli.frameworks import frameworks
from etcoreml.deploy.frameworks import plan_build
from etcoreml.errors import UsageError

APP = typer.Typer(rich_markup_mode=None)
APP.command()(frameworks)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(APP, list(arguments), env={"COLUMNS": "200"})


def test_text() -> None:
    outcome = run("--source", "et", "--with", "quantized")
    assert outcome.exit_code == 0
    plan = plan_build(Path("et"), ["quantized"])
    for step in plan.steps:
        assert f"  {step.line}\n" in outcome.output
    for path in plan.made:
        assert f"  et/{path}\n" in outcome.output
    assert "not run on a Mac" in outcome.output
    assert "_debug take the places" in outcome.output
    assert "_debug" not in run("--configuration", "release").output


def test_a_folder_whose_name_has_a_space() -> None:
    outcome = run("--source", "my sources")
    assert "  cd 'my sources'\n" in outcome.output


def test_json() -> None:
    document = json.loads(run("--json", "--configuration", "debug").stdout)
    assert document["built"] is False
    assert document["steps"][0]["command"][0] == "git"
    assert all(path.endswith("_debug.xcframework") for path in document["frameworks"])
    assert ["$(inherited) -all_load"] in document["build_phases"].values()


@pytest.mark.skipif(sys.platform == "darwin", reason="would build")
def test_it_does_not_run_here() -> None:
    outcome = run("--run")
    assert isinstance(outcome.exception, UsageError)
    assert "on macOS alone" in outcome.exception.what
    assert outcome.output == ""


def test_unknown_kernels() -> None:
    assert isinstance(run("--with", "mps").exception, UsageError)
