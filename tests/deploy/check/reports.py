"""A report as a device would write it, simulated: no figure of it was measured."""

from __future__ import annotations

from typing import Any


def simulated(sha256: str, method: str = "forward") -> dict[str, Any]:
    """A report of a program with one output, in which one unit failed."""

    def unit(name: str, snr: float | str) -> dict[str, Any]:
        return {
            "compute_unit": name,
            "load": {"cold_ms": 210.5, "warm_ms": 30.25},
            "latency": {"median_ms": 1.5, "p95_ms": 1.75, "count": 50},
            "memory": {"before_bytes": 1000, "loaded_bytes": 500000, "peak_bytes": 2001000},
            "distances": [
                {
                    "reference": reference,
                    "output": 0,
                    "snr_db": snr,
                    "max_abs": 0.01,
                    "not_finite": 0,
                }
                for reference in ("faithful", "fast")
            ],
            "etdump": f"etdump_{name}.etdp",
        }

    return {
        "format": "etcoreml-device-report",
        "version": 1,
        "simulated": True,
        "model": {"file": "model.pte", "sha256": sha256, "method": method},
        "executorch": "1.5.1",
        "device": {"model": "Simulated1,1", "system": "iOS 18.0.0"},
        "here": [
            {"name": "faithful", "reference": "fast", "output": 0, "snr_db": 63.0, "max_abs": 0.1}
        ],
        "units": [
            unit("cpu_only", "inf"),
            unit("cpu_and_gpu", 61.5),
            {
                "compute_unit": "cpu_and_ne",
                "error": "no Neural Engine",
                "load": {},
                "distances": [],
            },
            unit("all", 48.25),
        ],
    }
