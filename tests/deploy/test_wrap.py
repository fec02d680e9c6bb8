"""Core ML models as programs. Oracles: the program a model came from, and ``MLModel``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.deploy.extract import embedded_models, write_models
from etcoreml.deploy.wrap import wrap_model
from etcoreml.errors import BlobEmptyFileError, ModelTypeError, PackageError, UsageError
from etcoreml.mil.ct import coremltools
from etcoreml.runtime.pte import parse_pte
from tests import mlmodels
from tests.lowering import CoreMLBackend, CoreMLPartitioner, Runtime, lower, specs
from tests.runtime.two_methods import two_methods

ROOT = Path(__file__).parents[2]


def taken_apart(pte: bytes, folder: Path) -> Path:
    (model,) = embedded_models(parse_pte(pte))
    write_models([model], folder)
    return folder / model.name


def stock(pte: bytes, method: str, *inputs: Tensor) -> Any:
    """Run a method through the stock runtime, as users do who do not know of etcoreml."""
    return Runtime.get().load_program(pte).load_method(method).execute(inputs)


def small() -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)), (torch.randn(3, 8),)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_extract_then_wrap_gives_the_same_outputs(precision: str, tmp_path: Path) -> None:
    module, inputs = small()
    original = lower(module, inputs, precision=precision)
    wrapped = wrap_model(taken_apart(original, tmp_path))
    (expected,) = stock(original, "forward", *inputs)
    (found,) = stock(wrapped.pte, "forward", *inputs)
    assert torch.equal(found, expected)
    (before,), (after,) = (parse_pte(each).methods for each in (original, wrapped.pte))
    assert after.inputs == before.inputs
    assert after.outputs == before.outputs
    # The key of the model in a device's cache.
    (model,) = embedded_models(parse_pte(original))
    assert wrapped.identifier == model.identifier


class _Gather(nn.Module):
    def forward(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        return (x @ x.T)[index], index + 1


def test_dtypes_are_the_models(tmp_path: Path) -> None:
    """What a lowering converts on the way, int64 and float32, is exchanged as the model has it."""
    options = specs("float16", minimum_deployment_target=coremltools().target.iOS18)
    x, index = torch.randn(4, 4), torch.tensor([2, 0])
    original = lower(_Gather(), (x, index), partitioner=CoreMLPartitioner(compile_specs=options))
    before, between = stock(original, "forward", x, index)
    pte = wrap_model(taken_apart(original, tmp_path)).pte
    (method,) = parse_pte(pte).methods
    assert [each.dtype for each in (*method.inputs, *method.outputs)] == [
        "float32",
        "int32",
        "float16",
        "int32",
    ]
    after, other = stock(pte, "forward", x, index.int())
    assert torch.equal(after.float(), before)
    assert torch.equal(other.long(), between)


def test_methods_that_share_a_model(tmp_path: Path) -> None:
    from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY as STRATEGY

    sharing = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
        STRATEGY.POSITIONAL
    )
    partitioner = CoreMLPartitioner(compile_specs=[*specs("float16"), sharing])
    modules, inputs = two_methods()
    original = lower(modules, inputs, partitioner=partitioner)
    wrapped = wrap_model(taken_apart(original, tmp_path))
    assert {each.name for each in wrapped.methods} == set(modules)
    for name in modules:
        (expected,) = stock(original, name, *inputs[name])
        (found,) = stock(wrapped.pte, name, *inputs[name])
        assert torch.equal(found, expected)
    program = parse_pte(wrapped.pte)
    assert len(program.named_data) == 1
    assert all(len(each.delegates[0].payload) < 300 for each in program.methods)


def test_a_compiled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.compiler.fake_compiler", "well"]
    monkeypatch.setenv("ETCOREML_COMPILER", shlex.join(command))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    module, inputs = small()
    options = specs(model_type=CoreMLBackend.MODEL_TYPE.COMPILED_MODEL)
    original = lower(module, inputs, partitioner=CoreMLPartitioner(compile_specs=options))
    wrapped = wrap_model(taken_apart(original, tmp_path))
    assert torch.equal(
        stock(wrapped.pte, "forward", *inputs)[0], stock(original, "forward", *inputs)[0]
    )
    (method,) = parse_pte(wrapped.pte).methods
    assert method.delegates[0].compile_specs["model_type"] == b"compiled_model"


def test_apples_converter_and_two_dtypes(sum_package: Path) -> None:
    """A model that coremltools converted; an optional input has to be given."""
    pte = wrap_model(sum_package, compute_unit="cpu_and_ne").pte
    x, y = torch.ones(2, 3, dtype=torch.int32), torch.full((2, 3), 0.25)
    assert torch.equal(stock(pte, "forward", x, y)[0], x + 2 * y)
    (method,) = parse_pte(pte).methods
    assert [each.dtype for each in (*method.inputs, *method.outputs)] == [
        "int32",
        "float32",
        "float32",
    ]
    specs = method.delegates[0].compile_specs
    assert specs["compute_units"] == b"cpu_and_ne"
    assert specs["min_deployment_target"] == b"8"  # iOS17, as the model was converted


def test_a_state_is_no_argument(counter_package: Path) -> None:
    program = etcoreml.load(wrap_model(counter_package).pte)
    x = torch.full((2, 3), 1.5, dtype=torch.float16)
    sums = [program.forward(x)[0] for _ in range(3)]
    assert [float(each[0, 0]) for each in sums] == [1.5, 3.0, 4.5]


def test_functions_of_other_names(two_functions_package: Path) -> None:
    wrapped = wrap_model(two_functions_package)
    assert [each.name for each in wrapped.methods] == ["one", "two"]
    x = torch.randn(2, 24)
    model = etcoreml.MLModel(two_functions_package, function_name="one").predict({"x": x.numpy()})
    y, z = stock(wrapped.pte, "one", x)
    np.testing.assert_array_equal(y.numpy(), model["y"])
    np.testing.assert_array_equal(z.numpy(), model["z"])


class _Reshaped(nn.Module):
    """Outputs whose sizes are sums and products of an input's."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat((x, x[:, :2]), 1), (x * 2).flatten()


@pytest.fixture(scope="module")
def flexible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ct = coremltools()
    path = tmp_path_factory.mktemp("flexible") / "flexible.mlpackage"
    shape = (ct.RangeDim(1, 4, default=2), ct.RangeDim(2, 6, default=3))
    return mlmodels.convert(
        path,
        _Reshaped(),
        [(2, 3)],
        inputs=[ct.TensorType("x", shape, np.float32)],
        outputs=[ct.TensorType("y", dtype=np.float32), ct.TensorType("z", dtype=np.float32)],
    )


def test_sizes_in_a_range(flexible: Path) -> None:
    pte = wrap_model(flexible).pte
    (method,) = parse_pte(pte).methods
    assert [(each.shape, each.dynamic) for each in (*method.inputs, *method.outputs)] == [
        ((4, 6), True),
        ((4, 8), True),
        ((24,), True),
    ]
    program = etcoreml.load(pte)
    for shape in ((1, 2), (4, 6), (2, 5)):
        x = torch.randn(shape)
        for found, expected in zip(program.forward(x), _Reshaped()(x), strict=True):
            torch.testing.assert_close(found, expected)


def test_a_largest_shape_of_ones_own(flexible: Path) -> None:
    (method,) = parse_pte(wrap_model(flexible, max_shapes={"x": (1, 4)}).pte).methods
    assert method.inputs[0].shape == (1, 4)
    assert [each.shape for each in method.outputs] == [(1, 6), (4,)]
    for shape in ((5, 6), (1, 1), (1, 2, 3)):
        with pytest.raises(UsageError, match=r"cannot have the shape.*\(1 to 4, 2 to 6\)"):
            wrap_model(flexible, max_shapes={"x": shape})
    with pytest.raises(UsageError, match="no input 'y'; expected x"):
        wrap_model(flexible, max_shapes={"y": (1, 4)})


def test_enumerated_shapes(tmp_path: Path) -> None:
    ct = coremltools()
    shapes = ct.EnumeratedShapes([(1, 2), (3, 2), (1, 5)], default=(1, 2))
    path = mlmodels.convert(
        tmp_path / "listed.mlpackage",
        nn.Softmax(-1),
        [(1, 2)],
        inputs=[ct.TensorType("x", shapes, np.float32)],
        outputs=[ct.TensorType("y", dtype=np.float32)],
    )
    pte = wrap_model(path).pte
    (method,) = parse_pte(pte).methods
    assert method.inputs[0].shape == method.outputs[0].shape == (3, 5)
    program = etcoreml.load(pte)
    for shape in ((1, 2), (3, 2), (1, 5)):
        x = torch.randn(shape)
        torch.testing.assert_close(program.forward(x)[0], torch.softmax(x, -1))
    with pytest.raises(etcoreml.errors.ShapeError):
        program.forward(torch.randn(2, 2))
    (smaller,) = parse_pte(wrap_model(path, max_shapes={"x": (3, 4)}).pte).methods
    assert smaller.inputs[0].shape == (3, 2)


def test_it_is_deterministic(flexible: Path, two_functions_package: Path) -> None:
    for path in (flexible, two_functions_package):
        assert wrap_model(path).pte == wrap_model(path).pte


def test_other_models_and_folders(tmp_path: Path, linear_package: Path) -> None:
    with pytest.raises(PackageError):
        wrap_model(tmp_path / "absent.mlpackage")
    (tmp_path / "empty.mlpackage").mkdir()
    with pytest.raises(PackageError, match="is no model"):
        wrap_model(tmp_path / "empty.mlpackage")
    with pytest.raises(ModelTypeError, match="a pipeline"):
        wrap_model(mlmodels.detector(tmp_path / "detector.mlpackage"))
    copy = tmp_path / "copy.mlpackage"
    embedded = etcoreml.blob.Directory.from_path(linear_package, "copy")
    embedded.extract(copy)
    (copy / "Data" / ".DS_Store").write_bytes(b"")
    with pytest.raises(BlobEmptyFileError, match="DS_Store"):
        wrap_model(copy)
