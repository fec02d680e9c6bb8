"""``etcoreml doctor``: its text and exit code. Oracle: the checks it is given."""

from __future__ import annotations

import json

import pytest

from etcoreml.deploy import doctor
from etcoreml.deploy.doctor import Check, Status
from tests.cli.conftest import Cli

GOOD = Check("Packages", "torch", Status.OK, "2.13.0")
OPTIONAL = Check("Extras", "llm", Status.MISSING, "not here", None, "pip install it", needed=False)
BAD = Check("Packages", "openvino", Status.TOO_OLD, "2024.1", ">=2026.4", "pip install openvino")


def test_all_is_well(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [GOOD, OPTIONAL])
    outcome = cli("doctor")
    assert outcome.code == 0
    assert "\nPackages\n  ok          torch: 2.13.0\n" in outcome.stdout
    assert "\nExtras\n  (missing)   llm: not here\n" in outcome.stdout
    assert "-> pip install it\n" in outcome.stdout
    assert outcome.stdout.endswith("\nAll that is needed is ok.\n")


def test_something_needed_is_not(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [GOOD, BAD, OPTIONAL])
    outcome = cli("doctor")
    assert outcome.code == 1
    assert "  too old     openvino: 2024.1; expected >=2026.4\n" in outcome.stdout
    assert outcome.stdout.endswith("\nNeeded, and not ok: openvino\n")
    outcome = cli("doctor", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.stdout)
    assert document["ok"] is False
    assert document["checks"][1] == {
        "group": "Packages",
        "name": "openvino",
        "status": "too old",
        "needed": True,
        "found": "2024.1",
        "expected": ">=2026.4",
        "remedy": "pip install openvino",
    }
