"""The command line: ``etcoreml COMMAND``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from etcoreml.cli.app import run

    run()
