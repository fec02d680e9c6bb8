"""``coreml_executor_runner``: its files, read by ExecuTorch's own tools."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from etcoreml.imports import quiet_imports
from tests.runtime.processes import Outcome

with quiet_imports():
    from executorch.devtools import Inspector

pytestmark = pytest.mark.filterwarnings("ignore:Output Buffer not found", "ignore:The given buffer")
Runner = Callable[..., Outcome]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    from etcoreml.cli.executor_runner import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["coreml_executor_runner", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    return run


def delegated(etdump: Path, buffer: Path | None = None) -> dict[str, bool]:
    """Return the delegate's events, and whether each has a value."""
    inspector = Inspector(
        etdump_path=str(etdump), debug_buffer_path=None if buffer is None else str(buffer)
    )
    return {
        event.name: bool(event.debug_data)
        for block in inspector.event_blocks
        for event in block.events
        if event.is_delegated_op
    }


def test_a_plain_run_writes_nothing(
    runner: Runner, net_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = runner("--model_path", net_path, "--iterations", 3)
    assert outcome.code == 0
    assert "forward(), 1 input, 1 output" in outcome.stdout
    assert "not run on Core ML" in outcome.stdout
    assert not list(tmp_path.iterdir())


def test_a_profile_goes_to_etdump_etdp(
    runner: Runner, net_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = runner("--model_path", net_path, "--profile_model", "--iterations", 2)
    assert outcome.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["etdump.etdp"]
    assert any(":conv" in name for name in delegated(tmp_path / "etdump.etdp"))


def test_values_of_operations(runner: Runner, net_path: Path, tmp_path: Path) -> None:
    etdump, buffer = tmp_path / "a.etdp", tmp_path / "b.bin"
    arguments = ("--model_path", net_path, "--etdump_path", etdump, "--debug_buffer_path", buffer)
    assert runner(*arguments, "--dump_intermediate_outputs").code == 0
    assert sum(delegated(etdump, buffer).values()) > 1


def test_outputs_alone(runner: Runner, net_path: Path, tmp_path: Path) -> None:
    etdump, buffer = tmp_path / "a.etdp", tmp_path / "b.bin"
    arguments = ("--model_path", net_path, "--etdump_path", etdump, "--debug_buffer_path", buffer)
    assert runner(*arguments, "--dump_model_outputs").code == 0
    assert not any(delegated(etdump, buffer).values())
    inspector = Inspector(etdump_path=str(etdump), debug_buffer_path=str(buffer))
    assert any(block.run_output for block in inspector.event_blocks)


def test_too_small_a_buffer_leaves_no_file(runner: Runner, net_path: Path, tmp_path: Path) -> None:
    etdump, buffer = tmp_path / "a.etdp", tmp_path / "b.bin"
    outcome = runner(
        *("--model_path", net_path, "--etdump_path", etdump, "--debug_buffer_path", buffer),
        *("--dump_intermediate_outputs", "--debug_buffer_size", 10),
    )
    assert outcome.code == 1
    assert "debug buffer is too small" in outcome.stderr
    assert not list(tmp_path.iterdir())


def test_inputs_from_files(runner: Runner, net_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9, 9), np.float32))
    outcome = runner("--model_path", net_path, "--input", tmp_path / "x.npy")
    assert outcome.code == 1
    assert "(9, 9)" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model_path", "none.pte"), "there is no file 'none.pte'"),
        (("--model_path", "PTE", "--method", "decode"), "no method 'decode'"),
        (("--model_path", "PTE", "--profile_model", "--etdump_path", "no/x.etdp"), "no directory"),
    ],
)
def test_wrong_usage(
    runner: Runner, net_path: Path, arguments: tuple[object, ...], says: str
) -> None:
    outcome = runner(*(net_path if each == "PTE" else each for each in arguments))
    assert outcome.code == 2
    assert says in outcome.stderr


def test_inputs_have_no_names(runner: Runner, net_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    outcome = runner("--model_path", net_path, "--input", f"x={tmp_path / 'x.npy'}")
    assert outcome.code == 2
    assert "inputs of a .pte have no names" in outcome.stderr
