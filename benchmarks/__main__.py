"""Answers questions with figures: ``python -m benchmarks [QUESTION ...] [NETWORK ...] [--quick]``.

- ``engine``: whole networks beside OpenVINO, ONNX Runtime, XNNPACK and torch eager.
- ``bridge``: what a delegate call costs in the stock ExecuTorch runtime.
- ``programs``: whole .pte programs beside torch eager; asked for by name only.
- ``llm``: a language model's tokens per second beside XNNPACK; asked for by name only.
- ``profiling``: what an ETDump of the delegate holds, and what it costs; by name only.
- ``placement``: the estimates of ``etcoreml plan`` beside real plans; by name only.
- ``quantised``: what quantisation costs EfficientNet-Lite0; asked for by name only.

Without a question: ``engine`` and ``bridge``, as ``make bench`` does. Any other word picks
networks by parts of their names.
"""

from __future__ import annotations

import argparse

QUESTIONS = ("engine", "bridge", "programs", "quantised", "llm", "profiling", "placement")


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="questions, and parts of networks' names")
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast")
    parser.add_argument(
        "--publish", action="store_true", help="write the page under docs/, of all networks only"
    )
    given = parser.parse_args()
    networks = [name for name in given.names if name not in QUESTIONS]
    if given.publish and (networks or given.quick):
        parser.error("--publish is for a full run: without names of networks, without --quick")
    asked = [name for name in QUESTIONS if name in given.names]
    # Imported when asked: each needs libraries that take seconds.
    for question in asked or (["engine"] if networks else ["engine", "bridge"]):
        if question == "engine":
            from benchmarks import engine

            engine.main(networks, quick=given.quick, publish=given.publish)
        elif question == "bridge":
            from benchmarks import bridge

            bridge.main(rounds=20 if given.quick else 400)
        elif question == "quantised":
            from benchmarks import quantised

            quantised.main(quick=given.quick, publish=given.publish)
        elif question == "profiling":
            from benchmarks import profiling

            profiling.main(quick=given.quick, publish=given.publish)
        elif question == "placement":
            from benchmarks import placement

            placement.main(networks, publish=given.publish)
        elif question == "llm":
            from benchmarks import llm

            llm.main(quick=given.quick, publish=given.publish)
        else:
            from benchmarks import models

            models.main(networks)


if __name__ == "__main__":
    main()
