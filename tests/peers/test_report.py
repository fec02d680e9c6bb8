"""The books of `make peers`: what counts, what is listed, how a run continues. Oracle: by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers import plugin, record, report
from tests.peers.known import KNOWN, Known
from tests.peers.record import FAILED, PASSED, SKIPPED, STARTED, Row
from tests.peers.suites import SUITES

ROWS = (
    Row("a.py::passes", PASSED, predictions=2),
    Row("a.py::fails[1]", FAILED, predictions=1, reason="wrong"),
    Row("a.py::fails[2]", FAILED, predictions=1, reason="wrong"),
    Row("a.py::converts", PASSED),
    Row("a.py::broken", FAILED, reason="TypeError: of their own"),
    Row("a.py::skipped", SKIPPED),
    Row("a.py::died", STARTED),
)


def test_only_cases_that_predict_or_die_are_judged() -> None:
    assert record.counts(ROWS) == {
        "run": 7,
        "reached": 4,
        "passed": 1,
        "failed": 3,
        "skipped": 1,
        "xfailed": 0,
        "before": 1,
    }


@pytest.mark.parametrize(
    ("known", "wrong"),
    [
        ((), ["fails[1]", "fails[2]", "died"]),
        ((Known(r"fails\[", "why"), Known("died", "why")), []),
        ((Known("fails|died", "why"), Known("passes", "why")), ["listed, but passes", "nothing"]),
        ((Known("::", "why"),), ["listed, but passes"]),
        ((Known("::", "why", always=False),), []),
        ((Known("::", "why", always=False), Known("gone", "why")), ["nothing of it fails: gone"]),
    ],
)
def test_a_row_of_the_table_and_a_failure_need_each_other(
    known: tuple[Known, ...], wrong: list[str]
) -> None:
    found = report.verdicts(ROWS, known, complete=True)
    assert len(found) == len(wrong)
    for line, text in zip(found, wrong, strict=True):
        assert text in line


def test_a_partial_run_forgives_rows_it_did_not_meet() -> None:
    known = (Known("fails|died", "why"), Known("gone", "why"))
    assert report.verdicts(ROWS, known, complete=False) == []


def test_records_survive_a_kill_and_keep_the_last_word(tmp_path: Path) -> None:
    with (tmp_path / "worker-0.jsonl").open("w") as file:
        record.append(file, Row("a", STARTED))
        record.append(file, Row("a", FAILED, predictions=1))
        record.append(file, Row("b", STARTED))
        file.write('{"test": "c", "outc')
    rows = record.read(tmp_path)
    assert [(row.test, row.outcome) for row in rows.values()] == [("a", FAILED), ("b", STARTED)]


def test_the_page_gives_each_failure_its_reason() -> None:
    page = report.render(
        {"all": ROWS}, {"all": (9, 7)}, (Known("fails|died", "for a reason"),), complete=False
    )
    assert "1 of the 4 cases" in page
    assert "A sample of each suite" in page
    assert "| all | 9 | 2 | 7 | 4 | 1 | 3 | 1 | 0 | 1 |" in page
    assert "| 3 | `fails\\|died` | for a reason |" in page
    assert "`TypeError: of their own`" in page


def test_samples_depend_on_names_alone_and_grow() -> None:
    names = [f"test_{number}" for number in range(1000)]
    small, large = ({n for n in names if plugin.share(n) < part} for part in (0.1, 0.3))
    assert small < large
    assert 50 < len(small) < 200
    assert "test_0" in large  # fixed for ever: another hash would forget earlier records


def test_suites_and_patterns_are_well_formed() -> None:
    assert len({suite.name for suite in SUITES}) == len(SUITES)
    assert all(entry.reason.endswith(".") for entry in KNOWN)
