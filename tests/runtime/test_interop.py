"""Programs lowered by executorch's own Core ML partitioner run here. Oracle: torch eager.

Upstream lowers in a child process, once for the whole session.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import etcoreml
from etcoreml.blob import is_reference, read_reference
from etcoreml.deploy.extract import embedded_models, write_models
from etcoreml.deploy.wrap import wrap_model
from etcoreml.runtime.pte import parse_pte
from tests.lowering import snr_db
from tests.networks import ZOO
from tests.runtime.two_methods import two_methods

FLOORS_DB = {"float16": 48, "float32": 100}


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of .pte files written by upstream's partitioner."""
    directory = tmp_path_factory.mktemp("upstream")
    script = Path(__file__).with_name("lower_with_upstream.py")
    command = [sys.executable, str(script), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return directory


@pytest.mark.parametrize("precision", FLOORS_DB)
@pytest.mark.parametrize("name", ["resnet18", "bert", "two_islands"])
def test_network_agrees_with_eager(upstream: Path, name: str, precision: str) -> None:
    path = upstream / f"{name}.{precision}.pte"
    (method,) = parse_pte(path.read_bytes()).methods
    assert {each.backend_id for each in method.delegates} == {"CoreMLBackend"}
    assert len(method.delegates) == (2 if name == "two_islands" else 1)
    module, inputs = ZOO[name]()
    with torch.inference_mode():
        expected = module(*inputs)
    (actual,) = etcoreml.load(path).forward(*inputs)
    assert actual.dtype == expected.dtype
    assert snr_db(actual, expected) >= FLOORS_DB[precision]


def test_two_methods_share_one_stored_model(upstream: Path) -> None:
    path = upstream / "two_methods.pte"
    parsed = parse_pte(path.read_bytes())
    modules, inputs = two_methods()
    references = {}
    for method in parsed.methods:
        (delegate,) = method.delegates
        assert is_reference(delegate.payload)
        references[method.name] = read_reference(delegate.payload)
    assert {name: each.function_name for name, each in references.items()} == {
        name: name for name in modules
    }
    (key,) = parsed.named_data
    assert {each.key for each in references.values()} == {key}

    program = etcoreml.load(path)
    for _ in range(2):
        for name, module in modules.items():
            with torch.inference_mode():
                expected = module(*inputs[name])
            assert snr_db(program.run(name, inputs[name])[0], expected) >= 100


@pytest.mark.parametrize("name", ["resnet18.float16", "two_methods"])
def test_extracted_and_wrapped_it_is_the_same(upstream: Path, name: str, tmp_path: Path) -> None:
    """Oracle: the program that upstream wrote, in the stock runtime."""
    original = parse_pte((upstream / f"{name}.pte").read_bytes())
    (model,) = embedded_models(original)
    write_models([model], tmp_path)
    wrapped = etcoreml.load(wrap_model(tmp_path / model.name).pte)
    program = etcoreml.load(upstream / f"{name}.pte")
    assert set(wrapped.methods) == set(program.methods)
    for method, info in program.methods.items():
        inputs = [torch.randn(each.shape) for each in info.inputs]
        (expected,), (found,) = (each.run(method, inputs) for each in (program, wrapped))
        assert torch.equal(found, expected)
