"""``etcoreml compare``: distances to eager, and the exit code past a threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.filterwarnings(
    "ignore:Output Buffer not found", "ignore:The given buffer", "ignore:Unsupported kwarg"
)


def test_fp32_is_close(cli: Cli) -> None:
    outcome = cli("compare", "tests.cli.models:net", "--precision", "float32", "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert all(each["snr_db"] is None or each["snr_db"] > 90 for each in document["operations"])
    assert len(document["operations"]) >= 2
    assert document["outputs"][0]["snr_db"] > 90
    assert document["first_jump"] is None


def test_fp16_is_as_a_device_rounds(cli: Cli) -> None:
    outcome = cli("compare", "tests.cli.models:net", "--json")
    (output,) = json.loads(outcome.stdout)["outputs"]
    assert 45 < output["snr_db"] < 90


def test_overflow_is_found_at_the_op(cli: Cli) -> None:
    outcome = cli("compare", "tests.cli.models:overflow", "--min-snr", 40, "--json")
    assert outcome.code == 3, outcome.stderr
    document = json.loads(outcome.stdout)
    bad = [each for each in document["operations"] if each["not_finite"]]
    assert bad
    assert document["first_jump"] == bad[0]["name"]
    assert "matmul" in bad[0]["name"]


def test_buffers_that_are_not_persistent(cli: Cli) -> None:
    outcome = cli("compare", "tests.cli.models:blocks", "--json", "--min-snr", 40)
    assert outcome.code == 0, outcome.stderr
    assert len(json.loads(outcome.stdout)["operations"]) > 8


@pytest.mark.slow
def test_values_of_other_shapes_are_left_out(cli: Cli) -> None:
    outcome = cli("compare", "tests.networks:bert", "--json", "--min-snr", 50)
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert len(document["operations"]) > 30
    assert all(each["snr_db"] is None or each["snr_db"] > 50 for each in document["operations"])
    assert document["first_jump"] is None


def test_sources_are_lines_of_the_model(cli: Cli) -> None:
    """The body of ``_Blocks.forward``; what nn.Sequential calls has the line that calls it."""
    document = json.loads(cli("compare", "tests.cli.models:blocks", "--json").stdout)
    sources = {line for each in document["operations"] for line in each["source"]}
    assert sources
    assert all("tests/cli/models.py:" in each for each in sources), sources


def test_torchs_own_files_are_no_source(cli: Cli) -> None:
    document = json.loads(cli("compare", "tests.cli.models:net", "--json").stdout)
    assert document["operations"]
    assert [each["source"] for each in document["operations"] if each["source"]] == []


def test_threshold(cli: Cli) -> None:
    outcome = cli("compare", "tests.cli.models:net", "--min-snr", 20)
    assert outcome.code == 0
    assert "20 dB: met" in outcome.stdout
    outcome = cli("compare", "tests.cli.models:net", "--min-snr", 200)
    assert outcome.code == 3
    assert "200 dB: missed" in outcome.stdout


def test_a_pte_with_its_record(cli: Cli, tmp_path: Path) -> None:
    pte, record = tmp_path / "net.pte", tmp_path / "net.etrecord"
    assert cli("export", "tests.cli.models:net", "-o", pte, "--etrecord", record).code == 0
    outcome = cli("compare", pte, "--etrecord", record, "--numerics", "fast", "--sort", "graph")
    assert outcome.code == 0, outcome.stderr
    assert "output 0" in outcome.stdout
    assert "fast numerics" in outcome.stdout


def test_apples_delegate_has_numerics_of_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import etcoreml

    status = etcoreml.BridgeStatus(registered=False, reason="Apple's own serves")
    monkeypatch.setattr(etcoreml, "bridge", status)
    outcome = cli("compare", "tests.cli.models:net", "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["numerics"] is None
    assert document["outputs"][0]["snr_db"] > 40
    outcome = cli("compare", "tests.cli.models:net")
    assert outcome.code == 0, outcome.stderr
    assert "this machine: Apple's own serves" in outcome.stdout
    outcome = cli("compare", "tests.cli.models:net", "--numerics", "fast")
    assert outcome.code == 2
    assert "cannot pass on numerics" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("PTE",), "give --etrecord"),
        (("PTE", "--etrecord", "none"), "there is no file"),
        (("PTE", "--etrecord", "none", "--precision", "float32"), "--precision does not apply"),
        (("tests.cli.models:net", "--etrecord", "none"), "--etrecord is of a .pte"),
        (("model.bpte",), "`etcoreml bundle model.bpte` checks its cases"),
    ],
)
def test_wrong_usage(cli: Cli, net_path: Path, arguments: tuple[object, ...], says: str) -> None:
    outcome = cli("compare", *(net_path if each == "PTE" else each for each in arguments))
    assert outcome.code == 2
    assert says in outcome.stderr
