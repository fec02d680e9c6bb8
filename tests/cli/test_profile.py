"""``etcoreml profile`` of each kind of model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etcoreml.cli.profile_report import print_profile
from etcoreml.trace.cost import Cost
from etcoreml.trace.profile import Profile, Profiled
from etcoreml.trace.roofline import Roofline
from tests.cli.conftest import Cli
from tests.mlmodels import linear
from tests.trace.test_chrome import check_trace

pytestmark = pytest.mark.filterwarnings("ignore:Output Buffer not found", "ignore:The given buffer")
FEW = ("--iterations", 3, "--warmup", 1)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear(tmp_path_factory.mktemp("profiled") / "linear.mlpackage")


def test_a_pte(cli: Cli, net_path: Path) -> None:
    outcome = cli("profile", net_path, *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    (conv,) = (each for each in document["operations"] if each["type"] == "conv")
    assert len(conv["times_ms"]) == 3
    assert conv["flops"] >= 2 * (4 * 6 * 6) * (3 * 3 * 3)
    assert 0 < conv["share"] < 1
    assert document["modules"] == []
    assert "--etrecord adds them" in document["modules_missing"]
    taken = sum(each["median_ms"] for each in document["operations"])
    assert taken <= document["run_ms"] * 1.5


def test_a_model_that_is_lowered_first(cli: Cli) -> None:
    outcome = cli("profile", "tests.cli.models:net", *FEW, "--by", "module")
    assert outcome.code == 0, outcome.stderr
    assert "module" in outcome.stdout
    assert "unknown" not in outcome.stdout
    assert "not run on Core ML" in outcome.stdout


def test_a_core_ml_model(cli: Cli, package: Path) -> None:
    outcome = cli("profile", package, *FEW, "--json", "--threads", 1)
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    (linear,) = (each for each in document["operations"] if each["type"] == "linear")
    assert linear["flops"] >= 2 * 2 * 24 * 32
    assert document["function"] == "main"
    assert "a Core ML model does not tell them" in document["modules_missing"]


def test_the_warm_up_is_left_out_of_several_delegates(cli: Cli, acosh_path: Path) -> None:
    outcome = cli("profile", acosh_path, *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["iterations"] == 3
    assert {len(each["times_ms"]) for each in document["operations"]} == {3}
    assert document["load_s"] > 0


def test_a_kernel_goes_by_what_computes_the_most(cli: Cli) -> None:
    outcome = cli("profile", "tests.cli.models:attention", *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    operations = json.loads(outcome.stdout)["operations"]
    (attention,) = (each for each in operations if each["fused_with"])
    assert attention["type"] == "matmul"
    assert {each.partition(":")[2] for each in attention["fused_with"]} >= {"softmax", "matmul"}


@pytest.mark.parametrize("by", ["op", "type"])
def test_tables(cli: Cli, net_path: Path, by: str) -> None:
    outcome = cli("profile", net_path, *FEW, "--by", by, "--limit", 1)
    assert outcome.code == 0, outcome.stderr
    assert "GFLOP/s" in outcome.stdout
    assert "1 more row; a higher --limit" in outcome.stderr


def test_files(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    trace, etdump = tmp_path / "trace.json", tmp_path / "run.etdp"
    outcome = cli("profile", net_path, *FEW, "--trace", trace, "--etdump", etdump)
    assert outcome.code == 0, outcome.stderr
    document = json.loads(trace.read_text())
    check_trace(document)
    names = {row["name"] for row in document["traceEvents"]}
    assert any(":conv" in name for name in names)
    assert etdump.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("PTE", "--threads", 1), "--threads does not apply"),
        (("nothing:here", "--threads", 1), "found a model that is lowered"),
        (("PACKAGE", "--method", "forward"), "--method does not apply"),
        (("PTE", "--by", "module"), "needs the modules of an ETRecord"),
        (("PTE", "--method", "decode"), "no method 'decode'"),
        (("nothing.pte",), "there is no file"),
        (("nothing",), "unknown MODEL"),
        (("model.bpte",), "the .pte it was made of, or a .mlpackage"),
        (("model.zip",), "expected a .pte, .mlpackage, .mlmodel, .mlmodelc, a .pt2"),
        (("PTE", "--etrecord", "none.etrecord"), "there is no file"),
        (("PTE", "--trace", "trace.txt"), "a .json file"),
    ],
)
def test_wrong_usage(
    cli: Cli, net_path: Path, package: Path, arguments: tuple[object, ...], says: str
) -> None:
    given = {"PTE": net_path, "PACKAGE": package}
    outcome = cli("profile", *(given.get(str(each), each) for each in arguments))
    assert outcome.code == 2
    assert says in outcome.stderr


def test_the_table_says_what_more_than_the_limit_means(capsys: pytest.CaptureFixture[str]) -> None:
    quick = Profiled("y:linear", "linear", (1.0,), Cost(1_000, 2_000_000))
    profile = Profile((quick,), (1.0,), (0.0,), {"ran_on": "this machine"})
    for gb_per_s, said in ((1.0, True), (4.0, False)):
        print_profile("m.pte", profile, Roofline(100.0, gb_per_s), "op", None, [])
        shown = capsys.readouterr().out
        assert ("200%" in shown) == said
        assert ("over 100 %" in shown and "in a cache" in shown) == said
