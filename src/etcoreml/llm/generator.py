"""Generating tokens with a language model's .pte, through the stock ExecuTorch runtime.

The prompt goes in in chunks of the length that the model was exported with; the rest of it fills
the last chunk up, and what the filling leaves in the cache is overwritten by later tokens before
any token sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etcoreml.errors import ProgramError, UsageError
from etcoreml.llm.methods import CHUNK, CONTEXT, DECODE, EOS, FORWARD, PREFILL, VOCABULARY
from etcoreml.runtime.program import Program

Choose = Callable[[NDArray[np.float32]], int]


@dataclass
class Times:
    """What a generation took.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        prefill_s: Seconds until the logits after the prompt.
        steps: Decode steps.
        decode_s: Seconds of those, sampling included.
    """

    prompt_tokens: int = 0
    prefill_s: float = 0.0
    steps: int = 0
    decode_s: float = 0.0

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of the prompt per second."""
        return self.prompt_tokens / self.prefill_s if self.prefill_s else None

    @property
    def decode_rate(self) -> float | None:
        """Generated tokens per second; the first comes with the prompt and is not among them."""
        return self.steps / self.decode_s if self.decode_s else None


class Generator:
    """A loaded language model.

    Args:
        program: What `etcoreml.load` returned for a .pte of ``export-llm``.

    Raises:
        ProgramError: It is another program.

    Attributes:
        context: Positions of the cache: tokens of a prompt and its continuation together.
        chunk: Tokens of a prompt that are computed at once.
        vocab_size: Number of tokens.
        eos: Tokens that end a text.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        kept = FORWARD in program.methods
        needed = {CONTEXT, CHUNK, VOCABULARY, EOS, *((FORWARD,) if kept else (PREFILL, DECODE))}
        missing = sorted(needed - set(program.methods))
        if missing:
            raise ProgramError(
                "the program is no language model",
                found=f"no method {', '.join(missing)}",
                hint="etcoreml export-llm writes those that generate runs.",
            )
        self.context, self.chunk, self.vocab_size = (
            int(program.run(name, ())[0]) for name in (CONTEXT, CHUNK, VOCABULARY)
        )
        self.eos = tuple(int(token) for token in program.run(EOS, ()))
        for name in (FORWARD,) if kept else (PREFILL, DECODE):
            program.load(name)
        self._run: Callable[[Sequence[int], int, int], Tensor] = (
            self._run_stateful if kept else self._run_functional
        )
        # By length. The same memory in each call spares the delegate from binding it anew.
        self._placed = {
            length: (
                torch.zeros(1, length, dtype=torch.int32),
                torch.zeros(length, dtype=torch.int32),
            )
            for length in (1, self.chunk)
        }
        self._last = torch.zeros(1, dtype=torch.int32)
        self._caches = [
            torch.zeros(info.shape) for info in (() if kept else program.methods[DECODE].inputs[2:])
        ]

    def generate(
        self,
        prompt: Sequence[int],
        choose: Choose,
        max_new_tokens: int,
        times: Times | None = None,
    ) -> Iterator[int]:
        """Yield tokens until one of ``eos``, which is not yielded, or as many as asked for.

        Args:
            prompt: At least one token.
            choose: From ``(vocabulary,)`` logits to the next token.
            max_new_tokens: At least 1; prompt and new tokens together fit the context.
            times: Receives what was measured, after each token.

        Raises:
            UsageError: The prompt is empty, has unknown tokens, or does not fit.
        """
        if max_new_tokens < 1:
            raise UsageError("no tokens are asked for", found=max_new_tokens, expected=">= 1")
        if len(prompt) + max_new_tokens > self.context:
            raise UsageError(
                "prompt and new tokens do not fit the model's context",
                found=f"{len(prompt)} + {max_new_tokens}",
                expected=f"at most {self.context}",
                hint="Ask for fewer tokens, or export the model with a longer --context.",
            )
        times = times if times is not None else Times()
        start = time.perf_counter()
        logits = self.prefill(prompt)
        times.prompt_tokens, times.prefill_s = len(prompt), time.perf_counter() - start
        token = choose(logits)
        for position in range(len(prompt), len(prompt) + max_new_tokens):
            if token in self.eos:
                return
            yield token
            if position + 1 == len(prompt) + max_new_tokens:
                return
            start = time.perf_counter()
            token = choose(self.decode(token, position))
            times.steps += 1
            times.decode_s += time.perf_counter() - start

    def prefill(self, prompt: Sequence[int]) -> NDArray[np.float32]:
        """Return the ``(vocabulary,)`` logits after a text that starts at position 0.

        Raises:
            UsageError: The text is empty, has unknown tokens, or is longer than the context.
        """
        if not prompt:
            raise UsageError("the prompt has no tokens", expected="at least one")
        self._check(prompt, 0)
        start = 0
        while start < len(prompt):
            tokens = list(prompt[start : start + self.chunk])
            filled = tokens + [0] * (self.chunk - len(tokens))
            if len(tokens) == 1 or start + self.chunk > self.context:
                # Filled up, the chunk would go beyond the cache.
                tokens = filled = tokens[:1]
            logits = self._run(filled, start, len(tokens))
            start += len(tokens)
        return _vector(logits)

    def decode(self, token: int, position: int) -> NDArray[np.float32]:
        """Return the ``(vocabulary,)`` logits after one token at the next position.

        Raises:
            UsageError: The token is unknown, or the position is beyond the context.
        """
        self._check([token], position)
        return _vector(self._run([token], position, 1))

    def _run_stateful(self, tokens: Sequence[int], start: int, count: int) -> Tensor:
        self._place(tokens, start, count)
        output: Any = self._program.run(FORWARD, (*self._placed[len(tokens)], self._last))[0]
        return output

    def _run_functional(self, tokens: Sequence[int], start: int, count: int) -> Tensor:
        self._place(tokens, start, count)
        is_chunk = len(tokens) > 1
        inputs = (*self._placed[len(tokens)], *((self._last,) if is_chunk else ()), *self._caches)
        output, *new = self._program.run(PREFILL if is_chunk else DECODE, inputs)
        for cache, each in zip(self._caches, new, strict=True):
            # A third of the time that torch takes for a few numbers.
            cache.numpy()[:, :, start : start + count] = each.numpy()[:, :, :count]
        return output

    def _place(self, tokens: Sequence[int], start: int, count: int) -> None:
        """Write a call's tokens, their positions and the index of the last one that counts."""
        ids, positions = (each.numpy() for each in self._placed[len(tokens)])
        ids[0] = tokens
        positions[:] = range(start, start + len(tokens))
        self._last.numpy()[0] = count - 1

    def _check(self, tokens: Sequence[int], start: int) -> None:
        """Check tokens and positions: no method does, and a wrong one ruins the cache."""
        for position in (start, start + len(tokens) - 1):
            if not 0 <= position < self.context:
                raise UsageError(
                    "a token's position is outside of the model's context",
                    found=position,
                    expected=f"0 to {self.context - 1}",
                    hint="Export the model with a longer --context.",
                )
        unknown = [token for token in tokens if not 0 <= token < self.vocab_size]
        if unknown:
            raise UsageError(
                "there are tokens that the model does not know",
                found=unknown[0],
                expected=f"0 to {self.vocab_size - 1}",
                hint="The tokenizer is another model's.",
            )


def _vector(logits: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = logits.flatten().numpy()
    return array
