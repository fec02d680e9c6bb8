"""What the machine can do: ``python -m benchmarks.peak THREADS`` prints a line of JSON.

``gflops``: products of f32 matrices, by torch; ``read_gb_per_s``: summing an array much larger than
the caches; the best of several tries, since both are limits.
"""

from __future__ import annotations

import json
import sys

import torch

from etcoreml.trace.roofline import best_s

_SIZE = 2048
_READ_NBYTES = 1 << 29
_TRIES = 12


def main(threads: int) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    a, b = torch.randn(_SIZE, _SIZE), torch.randn(_SIZE, _SIZE)
    big = torch.ones(_READ_NBYTES // 4)
    peak = {
        "gflops": 2 * _SIZE**3 / best_s(lambda: a @ b, _TRIES) / 1e9,
        "read_gb_per_s": _READ_NBYTES / best_s(lambda: big.sum(), _TRIES) / 1e9,
    }
    print(json.dumps(peak))


if __name__ == "__main__":
    main(int(sys.argv[1]))
