"""``etcoreml generate``: text from a language model's .pte on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etcoreml.cli import render
from etcoreml.cli.options import Json
from etcoreml.errors import UsageError

if TYPE_CHECKING:
    from etcoreml.llm.generator import Times


def generate(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .pte that export-llm wrote.", show_default=False),
    ],
    tokenizer: Annotated[
        Path,
        typer.Option(help="A tokenizer.json, or the folder that holds it.", show_default=False),
    ],
    prompt: Annotated[str, typer.Option(help="The text to go on with.", show_default=False)],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens to write at most.")] = 128,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0 takes the most likely token.")
    ] = 0.0,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Draw from the most likely tokens only.", show_default="all"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the drawing.", show_default="another each time")
    ] = None,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Go on after a token that ends the text.")
    ] = False,
    json: Json = False,
) -> None:
    """Write text with MODEL through the ExecuTorch runtime, and say how fast that was."""
    if temperature == 0 and (top_k is not None or seed is not None):
        raise UsageError(
            "--top-k and --seed are of drawing, and nothing is drawn",
            found="--temperature 0",
            hint="Give a --temperature, such as 0.8.",
        )
    timings: dict[str, float] = {}
    with render.stage(f"Loading {model}", timings, "load"):
        import etcoreml
        from etcoreml.llm.generator import Generator, Times
        from etcoreml.llm.sampler import Sampler
        from etcoreml.llm.tokenizer import TextStream, Tokenizer

        words = Tokenizer(tokenizer)
        generator = Generator(etcoreml.load(model))
        if ignore_eos:
            generator.eos = ()
    if words.vocab_size > generator.vocab_size:
        raise UsageError(
            "the tokenizer is another model's",
            found=f"{words.vocab_size} tokens",
            expected=f"at most {generator.vocab_size}, as the model has",
        )
    given = words.encode(prompt)
    stream, times, tokens, text = TextStream(words), Times(), [], []
    choose = Sampler(temperature, top_k, seed)

    def show(piece: str) -> None:
        text.append(piece)
        if not json:
            sys.stdout.write(piece)
            sys.stdout.flush()

    for token in generator.generate(given, choose, max_new_tokens, times):
        tokens.append(token)
        show(stream.add(token))
    show(stream.finish())
    if json:
        render.print_json(
            {
                "text": "".join(text),
                "prompt_tokens": given,
                "tokens": tokens,
                "stopped": "length" if len(tokens) == max_new_tokens else "eos",
                "load_s": timings["load"],
                "prefill_tokens_per_s": times.prefill_rate,
                "decode_tokens_per_s": times.decode_rate,
            }
        )
        return
    typer.echo()
    typer.echo(_speed(times), err=True)


def _speed(times: Times) -> str:
    parts = [f"{times.prompt_tokens} tokens of the prompt at {times.prefill_rate:.1f} tokens/s"]
    rate: Any = times.decode_rate
    if rate is not None:
        parts.append(f"{times.steps} more at {rate:.1f} tokens/s")
    return ", ".join(parts)
