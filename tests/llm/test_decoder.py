"""The decoder in eager. Oracle: transformers' own model of the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from etcoreml.llm.checkpoint import load_weights
from etcoreml.llm.config import read_config
from etcoreml.llm.decoder import Decoder, FunctionalDecoder, RMSNorm, StatefulDecoder
from tests.llm.folders import MODELS, VOCABULARY, folder, model

CONTEXT, CHUNK = 64, 40
TOKENS = torch.randint(3, VOCABULARY, (1, 48), generator=torch.Generator().manual_seed(0))


def loaded(path: Path, *, guarded: bool = False) -> Decoder:
    decoder = Decoder(read_config(path / "config.json"), CONTEXT, guarded=guarded).eval()
    load_weights(decoder, path)
    return decoder


def chunked(decoder: Decoder, count: int) -> list[torch.Tensor]:
    """Return the logits after ``count`` tokens and after each later one, cache passed along."""
    config = decoder.config
    shape = (1, config.kv_heads, CONTEXT, config.head_dim)
    # What is not written yet must not be read.
    caches = [torch.full(shape, 1e3) for _ in range(2 * config.layers)]
    prefill, decode = (FunctionalDecoder(decoder, chunked=each) for each in (True, False))
    # The chunk is filled up with tokens that must not count.
    filled = torch.cat([TOKENS[:, :count], torch.full((1, CHUNK - count), 7)], 1).int()
    last = torch.tensor([count - 1], dtype=torch.int32)
    outputs = prefill(filled, torch.arange(CHUNK, dtype=torch.int32), last, *caches)
    logits = [outputs[0]]
    length = CHUNK
    for position in range(count, TOKENS.shape[1]):
        start = position - 1 if length == 1 else 0
        kept = 1 if length == 1 else count
        for cache, new in zip(caches, outputs[1:], strict=True):
            cache[:, :, start : start + kept] = new[:, :, :kept]
        token = TOKENS[:, position : position + 1].int()
        outputs = decode(token, torch.tensor([position], dtype=torch.int32), *caches)
        logits.append(outputs[0])
        length = 1
    return logits


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_logits(name: str, tmp_path: Path) -> None:
    decoder = loaded(folder(tmp_path, name))
    expected = model(name)(TOKENS).logits[:, 36:]
    actual = torch.cat(chunked(decoder, 37), 1)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_state_remembers(tmp_path: Path) -> None:
    """The cache is fp16, which is where the difference comes from."""
    stateful = StatefulDecoder(loaded(folder(tmp_path, "qwen3")))
    expected = model("qwen3")(TOKENS).logits
    zero = torch.zeros(1, dtype=torch.int32)
    stateful(TOKENS[:, :37].int(), torch.arange(37, dtype=torch.int32), zero + 36)
    for position in range(37, 48):
        token = TOKENS[:, position : position + 1].int()
        actual = stateful(token, zero + position, zero)
        torch.testing.assert_close(actual, expected[:, position, None], rtol=5e-3, atol=5e-3)


@torch.no_grad()
def test_guarded_norms_do_not_overflow() -> None:
    plain, guarded = RMSNorm(64, 1e-5), RMSNorm(64, 1e-5, guarded=True)
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    x = x * torch.tensor([1e-3, 1.0, 30.0, 3000.0])[:, None]
    torch.testing.assert_close(guarded(x), plain(x), rtol=3e-4, atol=0)
    torch.testing.assert_close(guarded(x.half()).float(), plain(x), rtol=5e-3, atol=1e-4)
    assert not torch.allclose(plain(x.half()).float(), plain(x), atol=1e-2)


@torch.no_grad()
def test_guarded_decoder(tmp_path: Path) -> None:
    path = folder(tmp_path, "llama")
    plain, guarded = (chunked(loaded(path, guarded=each), 37)[0] for each in (False, True))
    torch.testing.assert_close(guarded, plain, rtol=1e-3, atol=1e-3)
