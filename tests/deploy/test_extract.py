"""Models out of programs. Oracles: how the programs were made, and eager through ``MLModel``."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.blob import write_reference
from etcoreml.blob.reference import Reference
from etcoreml.deploy.extract import INDEX, EmbeddedModel, embedded_models, write_models
from etcoreml.errors import BlobReferenceError, PackageError, ProgramError, UsageError
from etcoreml.runtime.pte import PteDelegate, PteMethod, PteProgram, parse_pte
from tests.lowering import (
    CoreMLBackend,
    CoreMLPartitioner,
    lower,
    specs,
    to_edge_transform_and_lower,
)
from tests.networks import two_islands
from tests.runtime.two_methods import two_methods

ROOT = Path(__file__).parents[2]


def models_of(pte: bytes) -> tuple[EmbeddedModel, ...]:
    return embedded_models(parse_pte(pte))


@pytest.fixture(scope="module")
def shared_pte() -> bytes:
    from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY as STRATEGY

    sharing = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
        STRATEGY.POSITIONAL
    )
    partitioner = CoreMLPartitioner(compile_specs=[*specs(), sharing])
    return lower(*two_methods(), partitioner=partitioner)


def test_a_model_per_delegate_that_predicts_what_eager_does(tmp_path: Path) -> None:
    module, inputs = two_islands()
    models = models_of(lower(module, inputs))
    assert [each.name for each in models] == ["forward_0.mlpackage", "forward_1.mlpackage"]
    write_models(models, tmp_path / "out")
    first, second = (etcoreml.MLModel(tmp_path / "out" / each.name) for each in models)
    (use,), (after,) = (each.uses for each in models)
    # Between the two there is an acosh, which Core ML cannot take from here.
    values = first.predict(
        {name: each.numpy() for name, each in zip(use.inputs, inputs, strict=True)}
    )
    between = {name: np.arccosh(values[use.outputs[0]]) for name in after.inputs}
    found = second.predict(between)[after.outputs[0]]
    np.testing.assert_allclose(found, module(*inputs).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_methods_that_share_a_model_have_it_once(shared_pte: bytes, tmp_path: Path) -> None:
    (model,) = models_of(shared_pte)
    assert model.name == "shared.mlpackage"
    assert {(each.method, each.function) for each in model.uses} == {
        ("prefill", "prefill"),
        ("decode", "decode"),
    }
    write_models([model], tmp_path)
    modules, inputs = two_methods()
    for use in model.uses:
        function = etcoreml.MLModel(tmp_path / model.name, function_name=use.function)
        (x,) = inputs[use.method]
        found = function.predict({use.inputs[0]: x.numpy()})[use.outputs[0]]
        np.testing.assert_allclose(found, modules[use.method](x).detach().numpy(), atol=1e-4)


def test_methods_with_models_of_their_own(tmp_path: Path) -> None:
    modules = {"encode": nn.ReLU(), "Encode": nn.Sigmoid()}
    inputs = {"encode": (torch.ones(3),), "Encode": (torch.ones(3),)}
    names = [each.name for each in models_of(lower(modules, inputs))]
    # Not told apart on the file systems of a Mac.
    assert sorted(names) == ["Encode.mlpackage", "encode_1.mlpackage"]


def test_a_compiled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.compiler.fake_compiler", "well"]
    monkeypatch.setenv("ETCOREML_COMPILER", shlex.join(command))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = specs(model_type=CoreMLBackend.MODEL_TYPE.COMPILED_MODEL)
    x = torch.randn(2, 8)
    pte = lower(nn.Linear(8, 4), (x,), partitioner=CoreMLPartitioner(compile_specs=options))
    (model,) = models_of(pte)
    assert model.name == "forward.mlmodelc"
    write_models([model], tmp_path)
    name = model.uses[0].inputs[0]
    found = etcoreml.MLModel(tmp_path / model.name).predict({name: x.numpy()})
    torch.testing.assert_close(
        torch.from_numpy(found[model.uses[0].outputs[0]]), etcoreml.load(pte).forward(x)[0]
    )


def test_coremltools_opens_what_was_written(shared_pte: bytes, tmp_path: Path) -> None:
    """Oracle: coremltools reads the package, with the functions that the index names."""
    from etcoreml.mil.ct import coremltools

    models = models_of(shared_pte)
    index = json.loads(write_models(models, tmp_path).read_text())
    (entry,) = index["models"]
    files = (path for path in (tmp_path / entry["path"]).rglob("*") if path.is_file())
    assert entry["nbytes"] == sum(path.stat().st_size for path in files)
    spec = coremltools().models.utils.load_spec(str(tmp_path / entry["path"]))
    described = {
        each.name: ([i.name for i in each.input], [o.name for o in each.output])
        for each in spec.description.functions
    }
    listed = {each["function"]: (each["inputs"], each["outputs"]) for each in entry["delegates"]}
    assert described == listed
    assert entry["identifier"] == models[0].identifier


def test_what_is_there_stays_unless_forced(affine: Any, tmp_path: Path) -> None:
    models = models_of(affine)
    package = tmp_path / models[0].name
    package.mkdir()
    (package / "mine").write_text("mine")
    (tmp_path / "other").write_text("other")
    with pytest.raises(UsageError, match=r"already holds forward\.mlpackage") as caught:
        write_models(models, tmp_path)
    assert "--force" in str(caught.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["forward.mlpackage", "other"]
    assert (package / "mine").exists()
    write_models(models, tmp_path, force=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "forward.mlpackage",
        INDEX,
        "other",
    ]
    assert not (package / "mine").exists()
    assert (package / "Manifest.json").is_file()


def test_a_failure_leaves_what_was_there(
    affine: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_of(affine)
    write_models(models, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rename = Path.rename

    def fail_for_the_index(self: Path, target: Path) -> Path:
        if self.name == INDEX and self.parent.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_index)
    with pytest.raises(UsageError, match="No space left on device"):
        write_models(models, tmp_path, force=True)
    with pytest.raises(UsageError, match="No space left on device"):
        write_models(models, tmp_path / "new folder")
    monkeypatch.undo()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    assert not (tmp_path / "new folder").exists()


def test_names_that_lead_elsewhere(affine: bytes, tmp_path: Path) -> None:
    (method,) = parse_pte(affine).methods
    names = ["../../evil", "..", "a/b", "", "näme"]
    methods = tuple(
        replace(method, name=name, delegates=_altered(method.delegates, bytes([i])))
        for i, name in enumerate(names)
    )
    models = embedded_models(PteProgram(methods, {}, 0))
    found = [each.name.removesuffix(".mlpackage") for each in models]
    assert found == ["_.._evil", "model", "a_b", "model_1", "näme"]
    write_models(models, tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def _altered(delegates: tuple[PteDelegate, ...], padding: bytes) -> tuple[PteDelegate, ...]:
    """Payloads that differ in their padding, so that each is a model of its own."""
    return tuple(
        PteDelegate(each.backend_id, each.payload + b"\n" * (padding[0] + 1), {}, 1)
        for each in delegates
    )


def test_programs_without_core_ml() -> None:
    exported = torch.export.export(nn.ReLU(), (torch.ones(2),))
    data = bytes(to_edge_transform_and_lower(exported).to_executorch().buffer)
    with pytest.raises(ProgramError, match="no Core ML delegate; found no delegate at all"):
        models_of(data)
    other = PteMethod("forward", (), (), (PteDelegate("XnnpackBackend", b"x", {}, 1),), {}, (), ())
    with pytest.raises(ProgramError, match="found XnnpackBackend"):
        embedded_models(PteProgram((other,), {}, 0))


def test_damaged_payloads() -> None:
    from etcoreml.blob import Directory, write_blob

    def program(payload: bytes) -> PteProgram:
        delegates = (PteDelegate("CoreMLBackend", payload, {}, 1),)
        return PteProgram((PteMethod("forward", (), (), delegates, {}, (), ()),), {"here": b""}, 0)

    with pytest.raises(BlobReferenceError, match=r"delegate 0 of method .forward.*found here"):
        embedded_models(program(write_reference(Reference("gone"))))
    metadata = b'{"identifier": "i", "inputNames": [], "outputNames": ["y"]}'
    empty = Directory.from_mapping("lowered_module", {"metadata.json": metadata})
    with pytest.raises(PackageError, match=r"holds no model; found metadata\.json"):
        embedded_models(program(write_blob(empty)))


@pytest.fixture(scope="module")
def affine() -> bytes:
    return lower(nn.Linear(3, 3), (torch.ones(2, 3),))
