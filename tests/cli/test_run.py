"""``etcoreml run``: inputs of every kind, the numbers it writes, what it refuses.

Oracle: the program facade on inputs read by hand.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.cli import timed
from etcoreml.cli.inputs import random_inputs, read_inputs
from etcoreml.errors import UsageError
from etcoreml.runtime import delegate
from tests.cli import models
from tests.cli.conftest import Cli
from tests.lowering import lower
from tests.runtime.processes import run_python

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture
def x(tmp_path: Path) -> Array:
    """An input of ``net``, saved as ``x.npy`` and ``x.pt``."""
    value = np.random.default_rng(3).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", value)
    torch.save(torch.from_numpy(value), tmp_path / "x.pt")
    return value


def outputs(path: Path) -> list[Array]:
    with np.load(path) as file:
        return [file[f"output_{i}"] for i in range(len(file.files))]


@pytest.mark.parametrize("name", ["x.npy", "x.pt"])
def test_files(cli: Cli, net_path: Path, tmp_path: Path, x: Array, name: str) -> None:
    result = tmp_path / "out.npz"
    outcome = cli("run", net_path, "--input", tmp_path / name, "--output", result)
    assert outcome.code == 0, outcome.stderr
    (expected,) = etcoreml.load(net_path).forward(x)
    (actual,) = outputs(result)
    np.testing.assert_array_equal(actual, expected.numpy())
    assert f"on {tmp_path / name}" in outcome.stdout
    assert f"written  {result}" in outcome.stdout


def test_picture(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    arguments = ("--input", tmp_path / "x.png", "--output", tmp_path / "out.npz")
    for options, mean, std in (((), 0, 255), (("--mean", "127", "--std", "128"), 127, 128)):
        assert cli("run", net_path, *arguments, *options).code == 0
        by_hand = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)[None]
        (expected,) = etcoreml.load(net_path).forward(by_hand)
        np.testing.assert_array_equal(outputs(tmp_path / "out.npz")[0], expected.numpy())


def test_pictures_are_resized_and_made_rgb(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGBA", (13, 7), (255, 128, 0, 10)).save(tmp_path / "x.png")
    signature = [((1, 3, 4, 6), "float32")]
    (value,) = read_inputs([tmp_path / "x.png"], signature, 0.0, 255.0)
    assert value.shape == (1, 3, 4, 6)
    assert value.dtype == np.float32
    assert value.flags.c_contiguous
    np.testing.assert_allclose(value[0, :, 2, 3], [1, 128 / 255, 0], atol=1e-6)


def test_picture_for_something_else(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    outcome = cli("run", acosh_path, "--input", tmp_path / "x.png")
    assert outcome.code == 2
    assert "the model's input is not one; found (2, 3)" in outcome.stderr


def test_random_inputs_follow_the_seed(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    results = []
    for seed in (0, 0, 1):
        outcome = cli("run", acosh_path, "--seed", seed, "--output", tmp_path / "out.npz")
        assert f"random inputs, seed {seed}" in outcome.stdout
        results.append(outputs(tmp_path / "out.npz"))
    drawn = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    expected = etcoreml.load(acosh_path).forward(drawn)
    for actual, each in zip(results[2], expected, strict=True):
        np.testing.assert_array_equal(actual, each.numpy())
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][0], results[2][0])


def test_random_inputs_of_every_dtype() -> None:
    signature = [((2, 3), "int64"), ((4,), "bool"), ((), "float16"), ((0, 2), "uint8")]
    values = random_inputs(signature, 0)
    assert [(each.shape, str(each.dtype)) for each in map(np.asarray, values)] == signature
    assert set(np.unique(values[0])) <= {0, 1}
    with pytest.raises(UsageError, match="input 1 is a number"):
        random_inputs([((1,), "float32"), ((), None)], 0)
    with pytest.raises(UsageError, match=r"input 0 is ScalarType 15: give every input as a \.pt"):
        random_inputs([((1,), "ScalarType 15")], 0)


def test_json_is_all_of_stdout(cli: Cli, acosh_path: Path) -> None:
    outcome = cli("run", acosh_path, "--json", "--iterations", 7)
    document = json.loads(outcome.stdout)
    assert outcome.code == 0
    assert document["iterations"] == 7
    assert document["method"] == "forward"
    assert document["written"] is None
    latency = document["latency_ms"]
    ordered = [latency[key] for key in ("min", "first_quartile", "median", "third_quartile", "max")]
    assert ordered == sorted(ordered)
    assert ordered[0] > 0
    drawn = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    floats, integers = (each.numpy() for each in etcoreml.load(acosh_path).forward(drawn))
    assert document["outputs"][0] == {
        "name": "output_0",
        "shape": [2, 3],
        "dtype": "float32",
        "min": float(floats.min()),
        "max": float(floats.max()),
        "mean": pytest.approx(float(floats.mean())),
        "argmax": int(floats.argmax()),
    }
    assert document["outputs"][1]["dtype"] == "int32"
    assert document["outputs"][1]["min"] == int(integers.min())


@pytest.mark.parametrize(("warmup", "iterations"), [(0, 1), (3, 5)])
def test_counts_of_runs(
    cli: Cli, net_path: Path, monkeypatch: pytest.MonkeyPatch, warmup: int, iterations: int
) -> None:
    from etcoreml.runtime.program import Program

    calls = []
    run = Program.run
    monkeypatch.setattr(Program, "run", lambda self, *a: calls.append(a) or run(self, *a))
    outcome = cli("run", net_path, "--warmup", warmup, "--iterations", iterations)
    assert outcome.code == 0
    assert len(calls) == warmup + iterations
    assert f"of {iterations} run{'s' if iterations > 1 else ''}" in outcome.stdout


def test_latency_summary(cli: Cli, net_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that ticks 1, 2, 3, 4, 5 ms between start and end of the five runs.
    ticks = iter([0.0, 0.001, 1.0, 1.002, 2.0, 2.003, 3.0, 3.004, 4.0, 4.005])
    clock = type("Clock", (), {"perf_counter": staticmethod(lambda: next(ticks))})
    monkeypatch.setattr(timed, "time", clock)
    outcome = cli("run", net_path, "--iterations", 5, "--json")
    latency = json.loads(outcome.stdout)["latency_ms"]
    first, median, third = statistics.quantiles([1, 2, 3, 4, 5], n=4)
    assert latency == pytest.approx(
        {"median": median, "first_quartile": first, "third_quartile": third, "min": 1, "max": 5}
    )


def test_numbers_that_json_lacks(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "log.pte"
    path.write_bytes(lower(_Log(), (torch.ones(4),)))
    np.save(tmp_path / "x.npy", np.float32([1, 0, -1, 2]))
    arguments = ("run", path, "--input", tmp_path / "x.npy")
    (summary,) = json.loads(cli(*arguments, "--json").stdout)["outputs"]
    assert summary["not_finite"] == 2  # log(0) and log(-1)
    assert summary["mean"] is None
    text = cli(*arguments).stdout
    assert "inf, nan" in text


class _Log(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.log()


def test_methods(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "two.pte"
    each = {"encode": nn.ReLU(), "decode": nn.Sigmoid()}
    path.write_bytes(lower(each, {"encode": (torch.ones(3),), "decode": (torch.ones(2),)}))
    outcome = cli("run", path, "--method", "decode", "--json")
    assert json.loads(outcome.stdout)["outputs"][0]["shape"] == [2]
    outcome = cli("run", path)
    assert outcome.code == 2
    assert "has no method 'forward'; expected decode, encode" in outcome.stderr


def test_dynamic_batch(cli: Cli, programs: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((5, 3), -2, np.float32))
    arguments = ("--input", tmp_path / "x.npy", "--output", tmp_path / "out.npz")
    assert cli("run", programs / "dynamic.pte", *arguments).code == 0
    np.testing.assert_array_equal(outputs(tmp_path / "out.npz")[0], np.zeros((5, 3), np.float32))


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((1, 3, 8, 9), "float32", "found (1, 3, 8, 9); expected (1, 3, 8, 8)"),
        ((3, 8, 8), "float32", "found (3, 8, 8); expected (1, 3, 8, 8)"),
        ((1, 3, 8, 8), "float64", "found float64; expected float32"),
        ((1, 3, 8, 8), "int64", "found int64; expected float32"),
    ],
)
def test_wrong_inputs(
    cli: Cli, net_path: Path, tmp_path: Path, shape: tuple[int, ...], dtype: str, message: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, dtype))
    result = tmp_path / "out.npz"
    outcome = cli("run", net_path, "--input", tmp_path / "x.npy", "-o", result)
    assert outcome.code == 1
    assert message in outcome.stderr
    assert outcome.stdout == ""
    assert not result.exists()


def test_inputs_of_a_pte_have_no_names(cli: Cli, net_path: Path, tmp_path: Path, x: Array) -> None:
    outcome = cli("run", net_path, "--input", f"x={tmp_path / 'x.npy'}")
    assert outcome.code == 2
    assert "the inputs of a .pte have no names" in outcome.stderr


def test_an_equals_sign_in_a_files_name(cli: Cli, net_path: Path, tmp_path: Path, x: Array) -> None:
    np.save(tmp_path / "a=b.npy", x)
    assert cli("run", net_path, "--input", tmp_path / "a=b.npy").code == 0


def test_wrong_number_of_inputs(cli: Cli, net_path: Path, tmp_path: Path, x: Array) -> None:
    outcome = cli("run", net_path, *2 * ("--input", tmp_path / "x.npy"))
    assert outcome.code == 2
    assert "wrong number of --input files; found 2; expected 1, in order" in outcome.stderr


@pytest.mark.parametrize("name", ["bad.npy", "bad.pt", "bad.png"])
def test_damaged_inputs(cli: Cli, net_path: Path, tmp_path: Path, name: str) -> None:
    for content in (b"", b"\x93NUMPY and then something else"):
        (tmp_path / name).write_bytes(content)
        outcome = cli("run", net_path, "--input", tmp_path / name)
        assert outcome.code == 2
        assert f"cannot read '{tmp_path / name}'" in outcome.stderr
        assert outcome.stderr.count("\n") == 2  # loading, then the error


def test_pt_without_a_tensor(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "x.pt")
    outcome = cli("run", net_path, "--input", tmp_path / "x.pt")
    assert outcome.code == 2
    assert "holds no tensor; found dict" in outcome.stderr


def test_numbers_are_read_from_rank_0(tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", np.int64(3))
    np.save(tmp_path / "v.npy", np.zeros(2))
    assert read_inputs([tmp_path / "n.npy"], [((), None)], 0, 1) == [3]
    with pytest.raises(UsageError, match=r"found \(2,\); expected a number"):
        read_inputs([tmp_path / "v.npy"], [((), None)], 0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.pte",), "there is no file 'missing.pte'"),
        ((models.__file__,), "found .py; expected a .pte, .mlpackage"),
        (("{net}", "--input", "x.csv"), "found .csv; expected .npy, .pt, .png or .jpg"),
        (("{net}", "--input", "missing.npy"), "there is no file 'missing.npy'"),
        (("{net}", "--output", "out.csv"), "found .csv; expected a .npz file"),
        (("{net}", "--output", "missing/out.npz"), "there is no directory 'missing'"),
        (("{net}", "--std", "0"), "--std must not be zero"),
        (("{net}", "--iterations", "0"), "--iterations"),
        (("{net}", "--warmup", "-1"), "--warmup"),
        (("{net}", "--numerics", "faithful"), "--numerics does not apply to"),
        (("{net}", "--threads", "1"), "found a .pte; expected a Core ML model"),
        (("{net}", "--input", "x={net}"), "found .pte; expected .npy, .pt, .png or .jpg"),
    ],
)
def test_usage_is_checked_first(
    cli: Cli, net_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = cli("run", *(each.format(net=net_path) for each in arguments))
    assert outcome.code == 2
    assert message in outcome.stderr
    assert "Loading" not in outcome.stderr


@pytest.mark.parametrize("unit", [None, "cpu_only"])
def test_compute_unit(
    cli: Cli, net_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str | None
) -> None:
    """Oracle: what the delegate asks the engine for."""
    asked = []
    compile_function = delegate.compile_function

    def recorded(program: Any, **options: Any) -> Any:
        asked.append(options["compute_unit"])
        return compile_function(program, **options)

    monkeypatch.setattr(delegate, "compile_function", recorded)
    assert cli("run", net_path, *(() if unit is None else ("--compute-unit", unit))).code == 0
    assert asked == [unit or "all"]


def test_damaged_programs(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    whole, path = net_path.read_bytes(), tmp_path / "cut.pte"
    path.write_bytes(whole[: len(whole) // 2])
    outcome = cli("run", path)
    assert outcome.code == 1
    assert "cut.pte' cannot be loaded" in outcome.stderr
    path.write_bytes(b"PK\x03\x04" * 4)
    outcome = cli("run", path)
    assert outcome.code == 1
    assert "is not a .pte" in outcome.stderr


def test_libraries_are_silent_in_a_process_of_its_own(acosh_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "run", sys.argv[1], "--json"]
        main()
        """,
        acosh_path,
    )
    assert outcome.code == 0
    json.loads(outcome.stdout)
    # acosh runs on the runtime's thread pool, which prints what it fails to read of the processor.
    assert [line.split("  ")[0] for line in outcome.stderr.splitlines()] == [
        "Loading torch and executorch",
        "Compiling acosh.pte",
        "Running it 12 times",
    ]


def test_purge_models_cache(
    cli: Cli, net_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETCOREML_CACHE_DIR", str(tmp_path))
    old = tmp_path / f"{'0' * 64}.model"
    old.touch()
    assert cli("run", net_path, "--iterations", 1, "--purge-models-cache").code == 0
    assert not old.exists()
