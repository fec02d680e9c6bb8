"""docs/deployment.md, docs/troubleshooting.md and generated READMEs: what they say can be typed.

The blocks of the walk-through that can run on Linux are run, in order; the report of a device,
which is not here, is simulated and labelled so. The others are parsed, or compiled against
ExecuTorch's headers, and have to say that they were not run.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from etcoreml.cli.app import app
from tests.cli.conftest import Cli
from tests.deploy.check.reports import simulated
from tests.deploy.parsers import syntax_errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text()
HELP = (ROOT / "docs" / "troubleshooting.md").read_text()
RUN = ("bash", "python")
BLOCKS = re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for _, kind, text in BLOCKS if kind == language]


def commands(text: str) -> list[str]:
    """The command lines of a block, here-documents and continued lines whole."""
    lines: list[str] = []
    end: str | None = None
    for line in text.splitlines():
        if end is not None or (lines and lines[-1].endswith("\\")):
            lines[-1] += f"\n{line}"
            end = None if line == end else end
        elif line:
            lines.append(line)
            opened = re.search(r"<<'(\w+)'", line)
            end = opened[1] if opened else None
    return lines


def from_the_device(folder: Path) -> None:
    """Put there what a device would have written: a simulated report, and an ETDump of here."""
    import etcoreml

    digest = hashlib.sha256((folder / "model.pte").read_bytes()).hexdigest()
    document = simulated(digest)
    document["units"] = [each for each in document["units"] if "error" not in each]
    (folder / "report.json").write_text(json.dumps(document))
    program = etcoreml.load(folder / "model.pte", enable_etdump=True)
    import numpy as np

    program.forward(np.zeros((1, 3, 32, 32), np.float32))
    (folder / "etdumps").mkdir()
    program.write_etdump_result_to_file(folder / "etdumps/etdump_all.etdp")


@pytest.mark.filterwarnings("ignore:Output Buffer not found", "ignore:Unsupported kwarg")
@pytest.mark.filterwarnings("ignore:The given buffer")
def test_the_walk_through_runs(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # Other pages have a module of this name, too.
    monkeypatch.delitem(sys.modules, "my_model", raising=False)
    ran = []
    for text in blocks("bash"):
        for command in commands(text):
            if "--device-report" in command:
                from_the_device(tmp_path)
            if command.startswith("etcoreml "):
                outcome = cli(*shlex.split(command)[1:])
                assert outcome.code == 0, f"{command}\n{outcome.stderr}"
                ran.append(command.split()[1])
            else:
                subprocess.run(["bash", "-ec", command], check=True, timeout=60)
    assert ran == [
        *("export", "run", "compare", "profile", "app", "app", "compare", "inspector"),
    ]
    assert (tmp_path / "MyApp/MyApp.xcodeproj/project.pbxproj").is_file()
    assert (tmp_path / "DeviceCheck/Package.swift").is_file()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_migration_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    assert example.count("etcoreml") == 1  # the line that changes
    exec(compile(example, "deployment.md", "exec"), {})
    assert (tmp_path / "relu.pte").stat().st_size > 0


@pytest.mark.parametrize("block", [each for each in BLOCKS if each[1] not in RUN])
def test_what_does_not_run_says_so(block: tuple[str, str, str]) -> None:
    assert "not run on Apple hardware" in block[0]


@pytest.mark.parametrize(("language", "suffix"), [("swift", ".swift"), ("objc", ".m")])
def test_snippets_parse(language: str, suffix: str, tmp_path: Path) -> None:
    for text in blocks(language):
        path = tmp_path / f"snippet{suffix}"
        path.write_text(text)
        assert syntax_errors(path) == []
        path.write_text(text.replace("{", "", 1))
        assert syntax_errors(path) != []


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_cpp_snippet_compiles(tmp_path: Path) -> None:
    """Oracle: the headers of the installed ExecuTorch."""
    import executorch

    (text,) = blocks("cpp")
    (tmp_path / "snippet.cpp").write_text(text)
    include = Path(executorch.__path__[0]) / "include"
    flags = [f"-I{include}", f"-I{include}/executorch/runtime/core/portable_type/c10"]
    flags += ["-DC10_USING_CUSTOM_GENERATED_MACROS", "-std=c++17", "-w", "-fsyntax-only"]
    done = subprocess.run(
        ["g++", *flags, str(tmp_path / "snippet.cpp")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "path",
    [
        "docs/deployment.md",
        "docs/troubleshooting.md",
        "src/etcoreml/deploy/app/templates/readme/profiling.md",
        "src/etcoreml/deploy/app/templates/check/README.md",
    ],
)
def test_commands_and_options_exist(path: str) -> None:
    text = (ROOT / path).read_text()
    found = re.findall(r"(?:`|^)etcoreml ((?:app )?[\w-]+)([^`\n]*)", text, re.MULTILINE)
    assert found
    for command, rest in found:
        result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0, command
        for option in re.findall(r"--[a-z_-]+", rest):
            assert option in result.output, f"{command} {option}"


def test_messages_of_ours_are_ours() -> None:
    """Oracle: the sources that raise them."""
    sources = "".join(path.read_text() for path in (ROOT / "src/etcoreml").rglob("*.py"))
    for message in (
        "the native bridge does not fit the installed executorch",
        "is of another program than",
        "Core ML state needs minimum_deployment_target iOS18 or later",
    ):
        assert message in HELP
        assert message in sources
