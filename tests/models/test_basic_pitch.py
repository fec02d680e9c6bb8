"""A real package made by others. Oracle: its ONNX twin in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etcoreml import MLModel
from etcoreml.deploy.wrap import wrap_model
from tests.lowering import Runtime
from tests.models.basic_pitch import CannotFetchError, fetch

# Outputs of the package and of the twin, whose names no conversion kept: notes and onsets have the
# same shape, so that a mistake here would show.
TWIN = {
    "Identity": "StatefulPartitionedCall:0",
    "Identity_1": "StatefulPartitionedCall:1",
    "Identity_2": "StatefulPartitionedCall:2",
}
SAMPLES = 43844
RATE_HZ = 22050


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    try:
        return fetch(Path(request.config.cache.mkdir("models")))
    except CannotFetchError as error:
        pytest.skip(f"basic-pitch cannot be downloaded: {error}")


@pytest.fixture(scope="module")
def model(folder: Path) -> MLModel:
    return MLModel(folder / "nmp.mlpackage")


@pytest.fixture(scope="module")
def twin(folder: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(folder / "nmp.onnx", providers=["CPUExecutionProvider"])


def _noise() -> Any:
    noise = np.random.default_rng(0).standard_normal((1, SAMPLES, 1))
    return (noise * 0.1).astype(np.float32)


def _chord() -> Any:
    """C major with overtones, struck once and fading."""
    time_s = np.arange(SAMPLES) / RATE_HZ
    tones = [
        np.sin(2 * np.pi * pitch * harmonic * time_s) / harmonic
        for pitch in (261.63, 329.63, 392.0)
        for harmonic in (1, 2, 3, 4)
    ]
    return (0.1 * np.sum(tones, 0) * np.exp(-2 * time_s)).astype(np.float32)[None, :, None]


# Not silence: the twin's division knows that 0 / 0 is to be 0, the package's does not.
@pytest.mark.parametrize("audio", [_noise(), _chord()], ids=["noise", "chord"])
def test_it_agrees_with_its_twin(model: MLModel, twin: Any, audio: Any) -> None:
    found = model.predict({"input_2": audio})
    (name,) = (each.name for each in twin.get_inputs())
    expected = dict(zip(TWIN.values(), twin.run(list(TWIN.values()), {name: audio}), strict=True))
    for ours, theirs in TWIN.items():
        # Two engines in fp32, measured at 1.3e-6; the project promises 1e-2.
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=0, atol=1e-4)


def test_as_a_pte_it_agrees_with_its_twin(folder: Path, twin: Any) -> None:
    """Wrapped, and run by the stock ExecuTorch runtime; the package leaves output sizes open."""
    wrapped = wrap_model(folder / "nmp.mlpackage")
    (method,) = wrapped.methods
    program = Runtime.get().load_program(wrapped.pte)
    audio = _chord()
    found = program.load_method("forward").execute([torch.from_numpy(audio)])
    (name,) = (each.name for each in twin.get_inputs())
    for slot, ours in zip(method.outputs, found, strict=True):
        (theirs,) = twin.run([TWIN[slot.name]], {name: audio})
        assert tuple(ours.shape) == slot.shape == theirs.shape
        # As above.
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-4)


def test_a_chord_is_heard(model: MLModel) -> None:
    """The three notes that were struck are the loudest of those that begin together."""
    notes = model.predict({"input_2": _chord()})["Identity_1"][0]
    assert {int(each) for each in np.argsort(-notes[:40].mean(0))[:3]} == {39, 43, 46}


def test_names_and_shapes_are_the_declared_ones(model: MLModel) -> None:
    found = model.predict({"input_2": _noise()})
    declared = model.get_spec().description.output
    assert set(found) == {each.name for each in declared} == set(TWIN)
    for each in declared:
        shape = tuple(each.type.multiArrayType.shape)
        # The package leaves the sizes of its outputs open, if it says anything of them.
        if shape:
            assert found[each.name].shape == shape
        assert found[each.name].dtype == np.float32
    assert {key: value.shape for key, value in found.items()} == {
        "Identity": (1, 172, 264),
        "Identity_1": (1, 172, 88),
        "Identity_2": (1, 172, 88),
    }
