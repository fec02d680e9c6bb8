"""Who speaks during an export: steps of ours always, the libraries when asked for.

Oracle: what a process of its own writes to its streams.
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import pytest

from etcoreml.cli.voices import libraries, steps
from etcoreml.imports import VERBOSE_VARIABLE, quiet_imports
from tests.runtime.processes import Outcome, run_python

COREMLTOOLS = ("Torch version", "Failed to load _MLModelProxy", "Converting PyTorch Frontend")


def exported(tmp_path: Path, *options: str) -> Outcome:
    return run_python(
        """
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "export", "tests.cli.models:acosh", "-o", *sys.argv[1:]]
        main()
        """,
        tmp_path / "out.pte",
        *options,
    )


def test_coremltools_is_silent_unless_asked(tmp_path: Path) -> None:
    quiet = exported(tmp_path)
    assert quiet.code == 0
    assert not any(each in quiet.stderr + quiet.stdout for each in COREMLTOOLS)
    assert len(quiet.stderr.splitlines()) == 4, quiet.stderr
    loud = exported(tmp_path, "--verbose")
    assert loud.code == 0
    assert all(each in loud.stderr for each in COREMLTOOLS)
    assert "  choosing among " in loud.stderr
    assert "  converting " in loud.stderr
    assert loud.stdout == quiet.stdout


def test_steps_reach_the_display_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    logger = logging.getLogger("etcoreml.partition")
    before = logging.getLogger("etcoreml").level
    with steps(said.append, printed=False):
        logger.info("converting %d nodes", 3)
        logger.warning("the report says this")
    logger.info("afterwards")
    assert said == ["converting 3 nodes"]
    assert caplog.records == []
    assert logging.getLogger("etcoreml").level == before


def test_steps_are_printed_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with steps(lambda step: None, printed=True):
        logging.getLogger("etcoreml").info("converting")
    assert capsys.readouterr().err == "  converting\n"


def test_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VERBOSE_VARIABLE, raising=False)
    with libraries(True):
        assert os.environ[VERBOSE_VARIABLE] == "1"
    assert VERBOSE_VARIABLE not in os.environ
    monkeypatch.setenv(VERBOSE_VARIABLE, "0")
    with pytest.raises(KeyError), libraries(True):
        raise KeyError
    assert os.environ[VERBOSE_VARIABLE] == "0"
    with libraries(False):
        assert os.environ[VERBOSE_VARIABLE] == "0"


def test_imports_speak_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VERBOSE_VARIABLE, "1")
    with quiet_imports():
        print("a remark")
    monkeypatch.setenv(VERBOSE_VARIABLE, "0")
    with quiet_imports():
        print("another")
    assert capsys.readouterr().out == "a remark\n"


def test_only_the_libraries_are_silenced() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with libraries(False):
            for module in ("executorch.exir.emit", "coremltools", "my.model", "torch.nn"):
                warnings.warn_explicit("w", UserWarning, "f.py", 1, module=module)
    assert len(caught) == 2
