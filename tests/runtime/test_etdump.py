"""ETDumps through `etcoreml.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import etcoreml
from etcoreml.errors import DebugBufferError, OptionError, ProgramError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one: the program is in its parent."""
    made = tmp_path / "etdump"
    made.mkdir()
    return made


def test_files_are_written_and_the_next_begins_anew(affine_path: Path, folder: Path) -> None:
    program = etcoreml.load(affine_path, enable_etdump=True)
    program.forward(torch.zeros(2, 3))
    program.write_etdump_result_to_file(folder / "run.etdp")
    assert [path.name for path in folder.iterdir()] == ["run.etdp"]
    assert (folder / "run.etdp").stat().st_size > 0


def test_nothing_to_write(affine_path: Path, folder: Path) -> None:
    program = etcoreml.load(affine_path)
    program.forward(torch.zeros(2, 3))
    with pytest.raises(ProgramError, match="no ETDump"):
        program.write_etdump_result_to_file(folder / "run.etdp")
    assert not list(folder.iterdir())


def test_a_file_that_cannot_be_written(affine_path: Path, folder: Path) -> None:
    program = etcoreml.load(affine_path, enable_etdump=True)
    program.forward(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="cannot write"):
        program.write_etdump_result_to_file(folder / "run.etdp", folder / "no" / "b.bin")
    assert not list(folder.iterdir())


def test_too_small_a_buffer(affine_path: Path) -> None:
    program = etcoreml.load(affine_path, enable_etdump=True, debug_buffer_size=8)
    with pytest.raises(DebugBufferError, match="at least"):
        program.forward(torch.zeros(2, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"debug_buffer_size": 10},
        {"enable_etdump": True, "debug_buffer_size": -1},
        {"enable_etdump": True, "debug_buffer_size": "1"},
        {"enable_etdump": True, "debug_buffer_size": True},
    ],
)
def test_options_that_mean_nothing(affine_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="debug_buffer_size"):
        etcoreml.load(affine_path, **options)
