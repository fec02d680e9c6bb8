"""Every benchmark, one after the other: ``python -m benchmarks``, or ``make bench``."""

from __future__ import annotations

from benchmarks import bridge, models

if __name__ == "__main__":
    bridge.main()
    print()
    models.main()
