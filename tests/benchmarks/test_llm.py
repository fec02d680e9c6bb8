"""The table of language models. Oracle: figures made up for the purpose."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.llm import table
from benchmarks.llm_programs import CONFIG, FORMS
from benchmarks.page import END, START, replaced


def row(rate: float, tokens: list[int]) -> dict[str, Any]:
    found = {
        "decode_rates": [rate - 1, rate, rate + 1],
        "prefill_rate": 500.0,
        "tokens": tokens,
    }
    return {"nbytes": 60e6, "threads": {"1": found}}


def document(ours: float, theirs: float) -> dict[str, Any]:
    return {
        "machine": {"processor": "P", "cores": 2, "versions": {"torch": "2"}},
        "load": 0.25,
        "prompt": 128,
        "steps": 64,
        "rounds": 7,
        "context": 512,
        "forms": {
            "ours, int4": row(ours, [1, 2, 3, 4]),
            "XNNPACK, 8da4w": {"failed": "was not lowered within 900 s"},
            "XNNPACK, fp32": row(theirs, [1, 2, 3, 5]),
        },
    }


def test_rows_and_verdict() -> None:
    text = table(document(60.0, 40.0))
    assert "| XNNPACK, fp32 | 60.0 | 1 | 40.0 | 39.0 to 41.0 | 500 | 75% |" in text
    assert "| XNNPACK, 8da4w | was not lowered within 900 s |" in text
    assert "1 threads 1.50x of XNNPACK, fp32 (met)" in text
    assert "1 threads 0.50x of XNNPACK, fp32 (missed)" in table(document(20.0, 40.0))


def test_the_model_has_a_hundred_million_weights() -> None:
    width, heads = CONFIG.hidden_size, (CONFIG.heads + 2 * CONFIG.kv_heads) * CONFIG.head_dim
    block = width * heads + width * width + 3 * width * CONFIG.intermediate_size
    count = CONFIG.layers * block + 2 * CONFIG.vocab_size * width
    assert 95e6 < count < 105e6


def test_the_goal_is_about_forms_that_exist() -> None:
    assert "ours, int4" in FORMS
    assert any(name.startswith("XNNPACK") for name in FORMS)


def test_pages() -> None:
    page = f"a\n{START}old\n{END}b\n"
    assert replaced(page, "new\n") == f"a\n{START}new\n{END}b\n"
    with pytest.raises(ValueError, match="marks"):
        replaced("a\n", "new\n")
