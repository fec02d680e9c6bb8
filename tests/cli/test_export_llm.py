"""``etcoreml export-llm``; tests/cli/test_generate.py runs what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.llm.folders import folder


def test_what_is_written(language_model: tuple[Path, str]) -> None:
    path, printed = language_model
    found = json.loads(printed)
    assert found["output"] == str(path)
    assert found["nbytes"] == path.stat().st_size
    assert (found["family"], found["cache"], found["random_weights"]) == ("llama", "io", False)


def test_folders_that_do_not_serve(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export-llm", tmp_path / "absent")
    assert outcome.code == 2
    assert "there is no" in outcome.stderr
    outcome = cli("export-llm", tmp_path, "-o", tmp_path / "out.pte")
    assert outcome.code == 2
    assert "config.json': No such file" in outcome.stderr
    assert not (tmp_path / "out.pte").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--context", "2048"], "was not made for a context of that length; found 2048"),
        (["--context", "512", "--prefill", "600"], "prefill length does not fit"),
        (["--seed", "0"], "--seed is of random weights, and a folder has its own"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], message: str, cli: Cli, tmp_path: Path
) -> None:
    folder(tmp_path, "llama")
    outcome = cli("export-llm", tmp_path, "-o", tmp_path / "out.pte", *arguments)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert not (tmp_path / "out.pte").exists()


def test_other_models_are_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "gpt2"}')
    outcome = cli("export-llm", path, "-o", tmp_path / "out.pte")
    assert outcome.code == 1
    assert "expected llama, qwen2, qwen3" in outcome.stderr
