"""Loading weights; that they are the right ones, test_decoder shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from etcoreml.errors import CheckpointError, UsageError
from etcoreml.llm.checkpoint import load_weights
from etcoreml.llm.config import read_config
from etcoreml.llm.decoder import Decoder
from tests.llm.folders import folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("saved"), "llama")


@pytest.fixture
def decoder(saved: Path) -> Decoder:
    return Decoder(read_config(saved / "config.json"), 16)


@pytest.fixture
def tensors(saved: Path) -> dict[str, Tensor]:
    return load_file(saved / "model.safetensors")


def test_several_files(decoder: Decoder, saved: Path, tmp_path: Path) -> None:
    folder(tmp_path, "llama", max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    load_weights(decoder, saved)
    expected = {name: each.clone() for name, each in decoder.named_parameters()}
    other = Decoder(decoder.config, 16)
    load_weights(other, tmp_path)
    for name, parameter in other.named_parameters():
        assert torch.equal(parameter, expected[name]), name


def test_files_may_be_links(decoder: Decoder, tmp_path: Path) -> None:
    """As in Hugging Face's cache, whose folders link to files named by their hashes."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    for number, path in enumerate(folder(blobs, "llama", max_shard_size="60KB").iterdir()):
        path.rename(blobs / str(number))
        (snapshot / path.name).symlink_to(Path("../../blobs", str(number)))
    load_weights(decoder, snapshot)
    assert not torch.equal(decoder.norm.weight, torch.ones(64))


def test_half_precision_is_widened(
    decoder: Decoder, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file({name: each.bfloat16() for name, each in tensors.items()}, tmp_path / FILE)
    load_weights(decoder, tmp_path)
    expected = tensors["model.norm.weight"].bfloat16().float()
    assert torch.equal(decoder.norm.weight, expected)


FILE = "model.safetensors"
NORM = "model.layers.1.self_attn.k_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda each: each.pop(NORM), f"1 tensor is missing; found {NORM}"),
        (lambda each: each.update(extra=torch.ones(1)), "1 tensor is unexpected; found extra"),
        (
            lambda each: each.update({NORM: torch.ones(2, 64)}),
            rf"tensor {NORM} has another shape .* found \(2, 64\); expected \(32, 64\)",
        ),
        (
            lambda each: each.update({NORM: torch.ones(32, 64, dtype=torch.int8)}),
            "is not of a floating-point dtype; found int8",
        ),
    ],
)
def test_tensors_that_do_not_fit(
    change: object, message: str, decoder: Decoder, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    assert callable(change)
    change(tensors)
    save_file(tensors, tmp_path / FILE)
    with pytest.raises(CheckpointError, match=message):
        load_weights(decoder, tmp_path)


def test_what_older_checkpoints_carry_is_ignored(
    decoder: Decoder, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    save_file(tensors, tmp_path / FILE)
    load_weights(decoder, tmp_path)


def test_files_that_do_not_serve(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no weights; expected model"):
        load_weights(decoder, tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text("{}")
    with pytest.raises(CheckpointError, match="is no index of weights"):
        load_weights(decoder, tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(CheckpointError, match="names a file that is not beside it"):
        load_weights(decoder, tmp_path)
    (tmp_path / FILE).write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(decoder, tmp_path)
