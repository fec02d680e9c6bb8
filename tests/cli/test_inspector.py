"""``etcoreml inspector`` on what ``export --etrecord`` and the runtime write."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import etcoreml
from tests.cli.conftest import Cli

pytestmark = pytest.mark.filterwarnings(
    "ignore:Output Buffer not found", "ignore:The given buffer", "ignore:Unsupported kwarg"
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with net.pte, its ETRecord, an ETDump and a debug buffer."""
    import torch
    from typer.testing import CliRunner

    from etcoreml.cli.app import app

    folder = tmp_path_factory.mktemp("recorded")
    pte, record = folder / "net.pte", folder / "net.etrecord"
    done = CliRunner().invoke(
        app,
        f"export tests.cli.models:net --precision float32 -o {pte} --etrecord {record}",
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    program = etcoreml.load(pte, enable_etdump=True, debug_buffer_size=1 << 20)
    (info,) = program.methods["forward"].inputs
    program.forward(torch.randn(info.shape))
    program.write_etdump_result_to_file(folder / "run.etdp", folder / "run.bin")
    return folder


def test_rows_with_nodes(cli: Cli, recorded: Path) -> None:
    outcome = cli(
        *("inspector", "--etdump_path", recorded / "run.etdp"),
        *("--etrecord_path", recorded / "net.etrecord", "--json"),
    )
    assert outcome.code == 0, outcome.stderr
    rows = json.loads(outcome.stdout)
    assert [row["median_ms"] for row in rows] == sorted(
        (row["median_ms"] for row in rows), reverse=True
    )
    (conv,) = (row for row in rows if row["event"].endswith(":conv"))
    assert conv["delegate"] == "CoreMLBackend"
    assert conv["aten_ops"]
    assert conv["source"] == []  # an nn.Sequential has no line of the model's own


def test_gaps_to_eager(cli: Cli, recorded: Path) -> None:
    outcome = cli(
        *("inspector", "--etdump_path", recorded / "run.etdp"),
        *("--etrecord_path", recorded / "net.etrecord"),
        *("--debug_buffer_path", recorded / "run.bin"),
    )
    assert outcome.code == 0, outcome.stderr
    assert "SNR dB" in outcome.stdout


def test_filter_order_and_limit(cli: Cli, recorded: Path) -> None:
    arguments = ("inspector", "--etdump-path", recorded / "run.etdp")
    outcome = cli(*arguments, "--filter", ":CONV", "--json")
    assert all(":conv" in row["event"] for row in json.loads(outcome.stdout))
    outcome = cli(*arguments, "--sort", "name", "--json")
    names = [row["event"] for row in json.loads(outcome.stdout)]
    assert names == sorted(names)
    assert "more rows" in cli(*arguments, "--limit", 1).stderr


def test_files(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    arguments = ("inspector", "--etdump_path", recorded / "run.etdp", "-o")
    assert cli(*arguments, tmp_path / "rows.csv").code == 0
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert any(row["device"] == "CPU" for row in rows)
    assert cli(*arguments, tmp_path / "rows.json").code == 0
    assert len(json.loads((tmp_path / "rows.json").read_text())) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--etdump_path", "none.etdp"), "there is no file"),
        (("--etdump_path", "net.pte"), "executorch cannot read"),
        (("--etdump_path", "run.etdp", "--debug_buffer_path", "run.bin"), "--etrecord_path"),
        (("--etdump_path", "run.etdp", "-o", "rows.xls"), "a .csv or .json file"),
    ],
)
def test_wrong_usage(
    cli: Cli,
    recorded: Path,
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(recorded)
    outcome = cli("inspector", *arguments)
    assert outcome.code == 2
    assert says in outcome.stderr
