"""Compiled models, made by a compiler that tells the truth and by several that do not.

Oracles: eager, and the package that was given to the compiler.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.blob import read_blob
from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend, apple_compiler
from etcoreml.errors import CompilerError
from etcoreml.runtime.pte import parse_pte
from tests.lowering import CoreMLPartitioner, lower, specs

ROOT = Path(__file__).parents[2]
NETWORK = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
X = torch.randn(3, 8)


def compiled_pte(module: Any = NETWORK, inputs: Any = (X,), more: Any = ()) -> bytes:
    options = specs(model_type=CoreMLBackend.MODEL_TYPE.COMPILED_MODEL)
    return lower(module, inputs, partitioner=CoreMLPartitioner(compile_specs=[*options, *more]))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Chooses what the compiler does."""

    def choose(how: str) -> None:
        command = [sys.executable, "-m", "tests.compiler.fake_compiler", how]
        monkeypatch.setenv("ETCOREML_COMPILER", shlex.join(command))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    return choose


def test_a_compiled_model_is_stored_and_runs(compiler: Any) -> None:
    compiler("well")
    pte = compiled_pte()
    (delegate,) = parse_pte(pte).methods[0].delegates
    files = {path for path, _ in read_blob(delegate.payload).walk()}
    assert "model.mlmodelc/model.mil" in files
    assert not any(path.startswith("model.mlpackage") for path in files)
    assert {"metadata.json", "debug_info.json"} < files
    torch.testing.assert_close(etcoreml.load(pte).forward(X)[0], NETWORK(X))
    assert pte == compiled_pte()


def test_methods_that_share_weights(compiler: Any) -> None:
    compiler("well")
    sharing = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
        MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
    )
    linear = nn.Linear(64, 64)
    x, y = torch.randn(2, 64), torch.randn(5, 64)
    modules = {"one": linear, "two": nn.Sequential(linear, nn.Tanh())}
    pte = compiled_pte(modules, {"one": (x,), "two": (y,)}, [sharing])
    program = etcoreml.load(pte)
    torch.testing.assert_close(program.run("one", [x])[0], linear(x))
    torch.testing.assert_close(program.run("two", [y])[0], linear(y).tanh())


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("fails", r"failed with exit code 1; found error: it does not work"),
        ("silent", r"left no model; found an empty folder; expected model\.mlmodelc"),
        ("rubbish", r"is no ML Program"),
        ("function", r"other functions; found .*'other'.*; expected .*'main'"),
        ("output", r"other outputs of function main; found .*renamed"),
        ("weights", r"other weights in function main; found 1 .* expected 1 "),
        ("op", r"other ops of function main; found {'relu': 0, 'tanh': 1}"),
    ],
)
def test_what_is_not_the_model_is_not_stored(compiler: Any, how: str, words: str) -> None:
    compiler(how)
    with pytest.raises(CompilerError, match=words):
        compiled_pte()


def test_without_a_compiler_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETCOREML_COMPILER", raising=False)
    monkeypatch.setattr(apple_compiler.sys, "platform", "linux")
    with pytest.raises(CompilerError) as caught:
        compiled_pte()
    assert "coremlcompiler, which is not here; expected Xcode" in caught.value.message
    assert "ETCOREML_COMPILER" in str(caught.value.hint)
    assert "ModelType.MODEL" in str(caught.value.hint)


def test_a_command_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCOREML_COMPILER", "no-such-compiler --quickly")
    with pytest.raises(CompilerError, match="found no-such-compiler"):
        compiled_pte()


def test_xcode_is_asked_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETCOREML_COMPILER", raising=False)
    monkeypatch.setattr(apple_compiler.sys, "platform", "darwin")
    monkeypatch.setattr(apple_compiler.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert apple_compiler.compiler_command() == ["xcrun", "coremlcompiler", "compile"]
