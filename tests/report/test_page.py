"""The page: what it holds, and what it does in a browser. Oracle: the JSON document beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcoreml.report.page import page
from tests.browser import NAMES, Browser, browser, executable

pytestmark = pytest.mark.filterwarnings(
    "ignore:Output Buffer not found", "ignore:The given buffer", "ignore:Unsupported kwarg"
)
Written = tuple[Path, dict[str, Any]]
PHONE, DESKTOP = 390, 1280
UNKNOWN = "\u2013"
CONTRAST = Path(__file__).with_name("contrast.js")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = executable()
    if found is None:
        pytest.skip(f"no Chromium on this machine (none of {', '.join(NAMES)})")
    with browser(found) as opened:
        yield opened


@pytest.fixture
def shown(chromium: Browser, written: Written) -> Iterator[Browser]:
    """The page, as it is when it is opened; whatever a test does, nothing may complain."""
    chromium.problems.clear()
    chromium.requested.clear()
    chromium.open(written[0], DESKTOP)
    yield chromium
    assert chromium.problems == []
    assert {each.partition(":")[0] for each in chromium.requested} == {"file"}


def test_it_holds_the_document(written: Written) -> None:
    text = written[0].read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text)
    assert json.loads(data) == written[1]


def test_its_policy_allows_its_own_style_and_script_alone(written: Written) -> None:
    text = written[0].read_text(encoding="utf-8")
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for element, allowed in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        hashed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{allowed} 'sha256-{hashed}'" in policy
    assert not re.search(r"(?:src|href)=\"(?!#)", text)


def test_names_cannot_become_code(written: Written, chromium: Browser, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>{{script}}"
    document = json.loads(json.dumps(written[1]))
    document["model"] = hostile
    document["graph"]["nodes"][1]["id"] = hostile
    document["time"]["run_ms"] = float("inf")
    path = tmp_path / "hostile.html"
    path.write_text(page({**document, "time": written[1]["time"]}), encoding="utf-8")
    chromium.problems.clear()
    chromium.open(path, DESKTOP)
    assert chromium.run("document.querySelector('h1').textContent") == hostile
    assert chromium.run("document.images.length") == 0
    assert chromium.problems == []
    assert '"run_ms":null' in page(document)


def test_numbers_are_those_of_the_document(shown: Browser, written: Written) -> None:
    document = written[1]
    run = shown.run("document.querySelector('#stat-time .big').textContent")
    assert float(run.removesuffix("ms")) == pytest.approx(document["time"]["run_ms"], rel=6e-3)
    nodes = shown.run("document.querySelector('#stat-delegated .note').textContent")
    assert nodes.startswith(f"{document['graph']['inside']} of {document['graph']['total']} nodes")
    (output,) = document["precision"]["outputs"]
    snr = shown.run("document.querySelector('#stat-precision .big').textContent")
    assert float(snr.removesuffix("dB")) == pytest.approx(output["snr_db"], abs=0.06)
    rows = shown.run(
        "[...document.querySelectorAll('#time tbody tr')].map((row) =>"
        " [...row.cells].slice(1).map((cell) => [cell.dataset.value, cell.innerText.trim()]))"
    )
    expected = sorted(document["time"]["operations"], key=lambda each: -each["median_ms"])
    assert len(rows) == len(expected)
    keys = ("median_ms", "share", "flops", "gflops_per_s", "nbytes", "roofline_share", "snr_db")
    scales = (1, 100, 1e-6, 1, 1e-6, 100, 1)
    for row, operation in zip(rows, expected, strict=True):
        for (value, text), key, scale in zip(row, keys, scales, strict=True):
            if operation[key] is None:
                assert (value, text) == (None, UNKNOWN)
            else:
                assert float(value) == operation[key]
                if text != UNKNOWN:
                    least = 0.5 * 10.0 ** -len(text.partition(".")[2])
                    assert float(text) == pytest.approx(operation[key] * scale, abs=1.01 * least)
                else:
                    assert operation[key] == 0
    weights = shown.run(
        "[...document.querySelectorAll('#weights td:nth-child(4)')].map((x) => +x.dataset.value)"
    )
    assert weights == [each["nbytes"] for each in document["weights"]["tensors"]]


def test_what_was_left_out_and_why(shown: Browser, written: Written) -> None:
    (node,) = (each for each in written[1]["graph"]["nodes"] if each["kind"] == "outside")
    text = shown.run("document.querySelector('.left-out').innerText")
    assert "acosh" in text
    assert node["reason"] in text
    colour = "getComputedStyle(document.querySelector({})).fill"
    inside, outside = (
        shown.run(colour.format(json.dumps(f".dot.{kind}"))) for kind in ("core_ml", "outside")
    )
    assert inside != outside


def test_search_filters_rows(shown: Browser) -> None:
    rows = "document.querySelectorAll('#time tbody tr').length"
    whole = shown.run(rows)
    shown.click("#time input")
    shown.type("acosh")
    assert shown.run(rows) == 1 < whole
    assert "acosh" in shown.run("document.querySelector('#time tbody').innerText")
    assert shown.run("document.querySelector('#time .count').textContent").startswith("1 of ")
    shown.type(" nonsense")
    assert "No operation has" in shown.run("document.querySelector('#time tbody').innerText")


def test_columns_sort(shown: Browser) -> None:
    values = "[...document.querySelectorAll('#time td:nth-child(2)')].map((x) => +x.dataset.value)"
    falling = shown.run(values)
    assert falling == sorted(falling, reverse=True)
    shown.click("#time th:nth-child(2) button")
    assert shown.run(values) == falling[::-1]
    sort = "document.querySelector('#time th:nth-child(2)').getAttribute('aria-sort')"
    assert shown.run(sort) == "ascending"


ROWS = "[...document.querySelectorAll('[role=treeitem]')].map((x) => x.innerText.split('\\n')[0])"
GROUP = "[data-kind=group]"


def test_modules_collapse_by_mouse(shown: Browser) -> None:
    before = shown.run(ROWS)
    shown.click(f"{GROUP}[aria-expanded=true]")
    closed = shown.run(ROWS)
    assert len(closed) < len(before)
    assert shown.run(f"document.querySelector('{GROUP}').getAttribute('aria-expanded')") == "false"
    shown.click(GROUP)
    assert shown.run(ROWS) == before


def test_modules_collapse_by_keyboard(shown: Browser) -> None:
    before = shown.run(ROWS)
    shown.run("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()")
    shown.press("Home")
    for _ in before:
        if shown.run(f"document.activeElement.matches('{GROUP}')"):
            break
        shown.press("ArrowDown")
    shown.press("ArrowLeft")
    closed = shown.run(ROWS)
    assert len(closed) < len(before)
    shown.press("ArrowRight")
    assert shown.run(ROWS) == before
    shown.press("Enter")
    assert shown.run(ROWS) == closed
    shown.press("ArrowDown")
    assert shown.run("document.activeElement.getAttribute('role')") == "treeitem"


def test_a_node_shows_its_facts(shown: Browser, written: Written) -> None:
    shown.click('[data-kind="outside"]')
    (node,) = (each for each in written[1]["graph"]["nodes"] if each["kind"] == "outside")
    fact = "document.querySelector('[data-fact=\"{}\"]').textContent"
    assert shown.run(fact.format("node")) == node["id"]
    assert shown.run(fact.format("why outside")) == node["reason"]


def test_the_flame_graph_by_keyboard(shown: Browser, written: Written) -> None:
    shown.run("document.querySelector('.flame .cell').focus()")
    shown.press("ArrowDown")
    assert shown.run("document.activeElement.className").startswith("cell")
    first = shown.run("document.querySelector('.flame + .readout b').textContent")
    shown.press("ArrowRight")
    assert shown.run("document.querySelector('.flame + .readout b').textContent") != first
    total = sum(each["median_ms"] for each in written[1]["time"]["operations"])
    whole = shown.run("document.querySelector('.flame .cell').item.value")
    assert whole == pytest.approx(total)


def test_the_heat_strip_has_every_operation(shown: Browser, written: Written) -> None:
    operations = written[1]["precision"]["operations"]
    assert shown.run("document.querySelectorAll('.strip > div').length") == len(operations)
    worst = min(each["snr_db"] for each in operations if each["snr_db"] is not None)
    value = "+document.querySelector('.strip-box + .readout [data-value]').dataset.value"
    assert shown.run(value) == worst


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_its_window(shown: Browser, written: Written, width: int, dark: bool) -> None:
    shown.open(written[0], width, dark=dark)
    shown.click(".buttons button")
    shown.click('[data-kind="outside"]')
    assert shown.run("document.documentElement.scrollWidth") == width
    for i in range(5):  # a cell of each colour
        shown.run(f"document.querySelectorAll('.cell')[{i}].className = 'cell core_ml step-{i}'")
        shown.run(f"document.querySelectorAll('.cell')[{i}].firstChild.textContent = 'text'")
    assert shown.run(CONTRAST.read_text()) == [], "text that does not stand out"


def test_the_plan_is_called_an_estimate(shown: Browser, written: Written) -> None:
    plan = written[1]["plan"]
    lead = shown.run("document.querySelector('#plan .lead').textContent")
    assert "An estimate" in lead
    assert "for cpu_and_ne, not Core ML\u2019s own plan" in lead
    assert "Search operations" in shown.run("document.querySelector('#plan input').placeholder")
    count = shown.run("document.querySelector('#plan .count').textContent")
    assert count.endswith(f"{len(plan['operations'])} operations")
    units = {each["preferred"] for each in plan["operations"]}
    assert shown.run("document.querySelectorAll('#plan .legend li').length") == len(units)


def test_what_leaves_the_neural_engine(chromium: Browser, written: Written, tmp_path: Path) -> None:
    def row(name: str, preferred: str, share: float | None, reason: str) -> dict[str, Any]:
        return {
            "operation": name,
            "preferred": preferred,
            "supported": ["CPU", "NE"],
            "estimated_work_share": share,
            "confidence": "R",
            "reason": reason,
            "advice": "Unroll it." if preferred == "CPU" else "",
            "leaves": preferred != "NE",
        }

    plan = {
        "origin": "estimate",
        "compute_unit": "cpu_and_ne",
        "confidence": {"R": "measured"},
        "operations": [
            row("a:conv", "NE", 0.5, "seen"),
            row("b:lstm", "CPU", 0.3, "has no loops"),
            row("c:lstm", "CPU", 0.1, "has no loops"),
            row("d:cumsum", "NE or CPU", 0.1, "disputed"),
            row("e:gather", "NE", None, "seen"),
        ],
    }
    path = tmp_path / "plan.html"
    chromium.problems.clear()
    path.write_text(page({**written[1], "plan": plan}), encoding="utf-8")
    chromium.open(path, DESKTOP)
    texts = chromium.run(
        "[...document.querySelectorAll('#plan .legend li')].map((x) => x.textContent)"
    )
    assert ["Neural Engine (2" in text for text in texts] == [True, False, False]
    assert "50.0" in texts[0]
    assert "Neural Engine or CPU" in texts[2]
    leaving = chromium.run(
        "[...document.querySelectorAll('.leaving li')].map((x) => x.textContent)"
    )
    assert len(leaving) == 2
    assert leaving[0].startswith("lstm\u00d7 2")
    assert leaving[0].endswith("Has no loops. Unroll it.")
    assert "not of 1 operation whose" in chromium.run(
        "document.querySelector('#plan .lead').textContent"
    )
    path.write_text(page({**written[1], "plan": None}), encoding="utf-8")
    chromium.open(path, DESKTOP)
    assert chromium.run("document.querySelector('#plan')") is None
    assert chromium.problems == []
