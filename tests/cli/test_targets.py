"""``etcoreml targets``. Oracle: the table it prints, which has tests of its own."""

from __future__ import annotations

import json

from etcoreml.targets import TARGETS
from tests.cli.conftest import Cli


def test_table(cli: Cli) -> None:
    outcome = cli("targets")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.stdout.splitlines()]
    (row,) = [line for line in lines if "CoreML8" in line]
    assert row[:5] == ["18", "15", "11", "9", "CoreML8"]
    assert "state;" in row


def test_json(cli: Cli) -> None:
    document = json.loads(cli("targets", "--json").stdout)["targets"]
    assert [each["iPadOS"] for each in document] == [each.ios for each in TARGETS]
    by_opset = {each["opset"]: each for each in document}
    assert by_opset["CoreML7"]["names"] == ["iOS17", "macOS14", "watchOS10", "tvOS17"]
    assert by_opset["CoreML8"]["mil_ops"] == list(TARGETS[3].ops)
    systems = ("iOS", "iPadOS", "macOS", "tvOS", "watchOS", "spec_version")
    assert [by_opset["CoreML8"][system] for system in systems] == [18, 18, 15, 18, 11, 9]
