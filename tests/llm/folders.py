"""Small language models in Hugging Face layout, made with transformers: random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

VOCABULARY = 128
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}


def _llama(**fields: Any) -> Any:
    config = transformers.LlamaConfig(**{**SMALL, **fields})
    return transformers.LlamaForCausalLM(config)


def _qwen2(**fields: Any) -> Any:
    config = transformers.Qwen2Config(**{**SMALL, **fields})
    return transformers.Qwen2ForCausalLM(config)


def _qwen3(**fields: Any) -> Any:
    config = transformers.Qwen3Config(**{**SMALL, "head_dim": 32, **fields})
    return transformers.Qwen3ForCausalLM(config)


MODELS = {
    "llama": lambda: _llama(tie_word_embeddings=False),
    "smollm": lambda: _llama(tie_word_embeddings=True),
    "llama biased": lambda: _llama(attention_bias=True, mlp_bias=True),
    "llama 3": lambda: _llama(rope_parameters=LLAMA3),
    "llama linear": lambda: _llama(rope_parameters=LINEAR),
    "qwen2": lambda: _qwen2(tie_word_embeddings=True),
    "qwen3": lambda: _qwen3(tie_word_embeddings=False),
}


def model(name: str) -> Any:
    """Return a model of transformers, always of the same weights, none of which is 0 or 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = MODELS[name]().eval()
        with torch.no_grad():
            for key, parameter in made.named_parameters():
                if key.endswith("bias") or "norm" in key:
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        return made


def folder(path: Path, name: str, **options: Any) -> Path:
    """Save a model as Hugging Face does, and return the folder."""
    model(name).save_pretrained(path, **options)
    return path


def tokenizer_file(path: Path) -> Path:
    """Write a byte-level ``tokenizer.json`` of 128 tokens: three special ones, then bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    # As byte-level tokenizers spell the bytes: printable ASCII, the space, and those of "é à".
    wanted = [c for c in sorted(pre_tokenizers.ByteLevel.alphabet()) if c.isascii() or c in "ĠÃ©ł"]
    vocabulary = {c: i for i, c in enumerate(["<pad>", "<s>", "</s>", *wanted])}
    library = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<pad>"))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(["<pad>", "<s>", "</s>"])
    library.save(str(path))
    return path
