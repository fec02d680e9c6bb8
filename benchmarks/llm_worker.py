"""One form of a language model, in a process of its own.

``python -m benchmarks.llm_worker PROGRAM THREADS`` loads, prints a line of JSON about that, and
then answers each line ``PROMPT STEPS`` on its input with a line of JSON: seconds of the prompt and
of the steps, and the tokens, the most likely ones.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.worker import resident_nbytes


def main(program: Path, threads: int) -> None:
    """Load and answer."""
    # Both runtimes count the processors that they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    from etcoreml.imports import quiet_imports

    with quiet_imports():
        import torch
        from executorch.extension.pybindings import portable_lib

        import etcoreml
        from etcoreml.llm.generator import Generator, Times

    torch.set_num_threads(threads)
    portable_lib._unsafe_reset_threadpool(threads)
    start = time.perf_counter()
    generator = Generator(etcoreml.load(program))
    about = {"load_s": time.perf_counter() - start, "resident_nbytes": resident_nbytes()}
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        length, steps = map(int, line.split())
        prompt = [(7 * i + 3) % generator.vocab_size for i in range(length)]
        times = Times()
        tokens = list(
            generator.generate(prompt, lambda logits: int(logits.argmax()), steps + 1, times)
        )
        answer = {"prefill_s": times.prefill_s, "decode_s": times.decode_s, "tokens": tokens}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
