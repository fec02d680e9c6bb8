"""Lower architectures in this process and print the SHA-256 of each .pte; a script of the tests.

Usage: python digests.py MODE NAME...
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.architectures.catalogue import ARCHITECTURES
from tests.architectures.harness import digest

if __name__ == "__main__":
    mode, *names = sys.argv[1:]
    for name in names:
        print(f"{name}: {digest(ARCHITECTURES[name], mode)}", flush=True)
