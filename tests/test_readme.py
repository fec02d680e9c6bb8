"""The README's example runs, and its links and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from etcoreml.cli.app import app
from tests.lowering import lower as lower  # imports executorch quietly
from tests.runtime.processes import run_python

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/blob-format.md",
    "docs/bundled-programs.md",
    "docs/delegation-report.md",
    "docs/deployment.md",
    "docs/doctor.md",
    "docs/extract-and-wrap.md",
    "docs/frameworks.md",
    "docs/language-models.md",
    "docs/ml-model.md",
    "docs/ops.md",
    "docs/placement.md",
    "docs/quantisation.md",
    "docs/troubleshooting.md",
]


def test_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_python_example_of_ml_model_runs(
    linear_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(linear_package.parent)
    text = (ROOT / "docs" / "ml-model.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(example, "ml-model.md", "exec"), {})


@pytest.mark.filterwarnings("ignore:.*experimental")
def test_python_examples_of_quantisation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "quantisation.md").read_text()
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(example, "quantisation.md", "exec"), names)
    assert (tmp_path / "model.pte").exists()


def test_examples_of_the_delegation_report_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "delegation-report.md").read_text()
    (model,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_model.py").write_text(model)
    sessions = re.findall(r"```\n\$ etcoreml (.*?)\n(.*?)```", text, re.DOTALL)
    assert len(sessions) == 2
    for command, expected in sessions:
        done = run_python(
            """
            import sys
            from etcoreml.cli import main
            main()
            """,
            *command.split(),
        )
        printed = done.stdout or done.stderr[done.stderr.index("error: ") :]
        # The size of the file is not this page's to say.
        assert re.sub(r"pte \(.*\)", "pte", printed) == re.sub(r"pte \(.*\)", "pte", expected)


def test_examples_of_extracting_wrapping_and_bundling_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    pages = ["extract-and-wrap.md", "bundled-programs.md"]
    text = "".join((ROOT / "docs" / page).read_text() for page in pages)
    (model,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_model.py").write_text(model)
    (export,) = re.findall(r"`etcoreml (export [^`]*)`", text)
    sessions = re.findall(r"```\n\$ etcoreml (.*?)\n(.*?)```", text, re.DOTALL)
    assert len(sessions) == 3

    def printed_by(command: str) -> str:
        capsys.readouterr()
        app(command.split(), standalone_mode=False)
        return capsys.readouterr().out

    def comparable(printed: str) -> str:
        # The size of a file is not a page's to say; the rows of tables end in blanks.
        return re.sub(r"[\d.]+ kB", "kB", re.sub(r" +$", "", printed, flags=re.MULTILINE))

    printed_by(export)
    for command, shown in sessions:
        assert comparable(printed_by(command)) == comparable(shown)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [each for each in targets if not ((ROOT / page).parent / each).exists()]
    assert missing == []


def test_commands_and_options_exist() -> None:
    commands = re.findall(
        r"`etcoreml (app [\w-]+|[\w-]+)(?! \.\.\.$)([^`]*)`", (ROOT / "README.md").read_text()
    )
    assert commands
    for command, rest in commands:
        words = [*command.split(), "--help"]
        shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"}).output
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown, f"{command} {option}"
