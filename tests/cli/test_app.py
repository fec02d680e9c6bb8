"""The application as a whole: help, exit codes, streams, and what it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import etcoreml
from etcoreml.cli.app import app
from etcoreml.errors import CompareError, DelegateError, EtCoreMLError, UsageError
from tests.cli.conftest import Cli
from tests.runtime.processes import run_python

COMMANDS = (
    *("export", "export-llm", "generate", "run", "inspect", "targets"),
    *("profile", "report", "compare", "plan", "inspector"),
    *("extract", "wrap", "bundle", "doctor"),
)


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    names = [command.name for command in app.registered_commands]
    assert sorted(map(str, names)) == sorted(COMMANDS)
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    # No summary is cut.
    assert "..." not in result.stdout.partition("Commands:")[2]
    assert "..." not in CliRunner().invoke(app, ["app", "-h"]).stdout.partition("Commands:")[2]


@pytest.mark.parametrize("name", [*COMMANDS, "app new", "app check", "app frameworks"])
def test_every_option_is_explained(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "-h"])
    assert result.exit_code == 0
    options = [line for line in result.stdout.splitlines() if line.lstrip().startswith("-")]
    assert len(options) >= 2
    text = " ".join(result.stdout.split())
    assert "…" not in text  # nothing is cut
    if name == "export":
        for flag in ("--take-over-mutable-buffer", "--no-take-over-constant-data", "--skip-op"):
            assert flag in text


def test_no_arguments_show_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_version(cli: Cli) -> None:
    outcome = cli("--version")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (
        0,
        f"etcoreml {etcoreml.__version__}\n",
        "",
    )


@pytest.mark.parametrize("arguments", [("nonsense",), ("--nonsense",), ("run",)])
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.stdout == ""
    assert "Try 'etcoreml" in outcome.stderr


def test_help_imports_nothing_heavy() -> None:
    outcome = run_python("""
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "--help"]
        try:
            main()
        except SystemExit as error:
            print("code", error.code)
        heavy = {"torch", "numpy", "coremltools", "openvino", "executorch.exir", "rich", "pygments"}
        print(sorted(heavy & set(sys.modules)))
    """)
    assert outcome.stdout.endswith("code 0\n[]\n"), outcome.stdout
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("what", found=1, expected=2, hint="do [that]"), 2),
        (DelegateError("what", found=1, expected=2, hint="do [that]"), 1),
        (CompareError("what", found=1, expected=2, hint="do [that]"), 3),
    ],
)
def test_errors_become_messages_and_codes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: EtCoreMLError, code: int
) -> None:
    def fail(model: Path, verb: str) -> None:
        raise error

    monkeypatch.setattr("etcoreml.cli.run.check_model_path", fail)
    outcome = cli("run", "x.pte")
    assert outcome.code == code
    assert outcome.stdout == ""
    # Brackets are no markup.
    assert outcome.stderr == "error: what; found 1; expected 2\nhint:  do [that]\n"
    with pytest.raises(type(error)):
        cli("--traceback", "run", "x.pte")
    assert cli("run", "x.pte").code == code  # the flag does not stick


def test_defects_are_not_hidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: Path, verb: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("etcoreml.cli.run.check_model_path", fail)
    with pytest.raises(ZeroDivisionError):
        cli("run", "x.pte")


def test_entry_point_in_a_process_of_its_own() -> None:
    script = Path(sys.executable).with_name("etcoreml")
    done = subprocess.run(
        [script, "inspect", "missing.pte"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: there is no file 'missing.pte'\n"
