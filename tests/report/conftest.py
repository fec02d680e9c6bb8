"""Programs and a report that several tests read."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import acosh_path as acosh_path
from tests.cli.conftest import programs as programs


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The page about ``tests.cli.models:blocks``, and the document that was printed beside it."""
    from etcoreml.cli import main

    path = tmp_path_factory.mktemp("report") / "report.html"
    arguments = [
        "report",
        "tests.cli.models:blocks",
        "-o",
        str(path),
        "--json",
        "--iterations",
        "3",
    ]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["etcoreml", *arguments])
        with contextlib.suppress(SystemExit):
            main()
    return path, json.loads(printed.getvalue())
