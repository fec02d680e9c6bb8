"""Names of the methods of a language model's .pte; those with ``get_`` return constants.

The constants that ExecuTorch's own LLM runner reads have its names.
"""

from __future__ import annotations

FORWARD = "forward"
"""Tokens in, logits out; the cache is state. There is no `PREFILL` and `DECODE` then."""

PREFILL = "prefill"
"""A chunk of a prompt and the cache in; logits and the chunk's keys and values out."""

DECODE = "decode"
"""One token and the cache in; logits and the token's keys and values out."""

CONTEXT = "get_max_context_len"
"""Positions of the cache."""

CHUNK = "get_max_seq_len"
"""Tokens that are computed at once."""

VOCABULARY = "get_vocab_size"
"""Number of tokens."""

BOS = "get_bos_id"
"""The token that starts a text; absent where the model has none."""

EOS = "get_eos_ids"
"""The tokens that end a text."""
