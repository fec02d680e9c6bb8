"""The command line inside the test's process, and programs for it to read."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import models
from tests.lowering import lower
from tests.runtime.processes import Outcome

Cli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs ``etcoreml ARGUMENTS`` as its entry point does, exit code included."""
    from etcoreml.cli import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["etcoreml", *map(str, arguments)])
        try:
            main()
            code: object = 0
        except SystemExit as exit_:
            code = exit_.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a .pte for each of ``net``, ``acosh`` and ``dynamic``."""
    directory = tmp_path_factory.mktemp("programs")
    (directory / "net.pte").write_bytes(lower(*models.net()))
    (directory / "acosh.pte").write_bytes(lower(*models.acosh()))
    module, inputs, sizes = models.dynamic()
    (directory / "dynamic.pte").write_bytes(lower(module, inputs, dynamic_shapes=sizes))
    return directory


@pytest.fixture(scope="session")
def net_path(programs: Path) -> Path:
    """``net`` in fp32 as a .pte."""
    return programs / "net.pte"


@pytest.fixture(scope="session")
def acosh_path(programs: Path) -> Path:
    """``acosh`` in fp32 as a .pte."""
    return programs / "acosh.pte"


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A language model in fp32 as a .pte, and what ``export-llm --json`` printed."""
    from etcoreml.cli import main
    from tests.llm.folders import folder

    path = tmp_path_factory.mktemp("language") / "model.pte"
    arguments = ["export-llm", str(folder(path.parent / "folder", "llama")), "-o", str(path)]
    sizes = ["--context", "512", "--prefill", "16", "--precision", "float32", "--json"]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["etcoreml", *arguments, *sizes])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return path, printed.getvalue()
