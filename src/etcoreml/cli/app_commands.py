"""``etcoreml app``: from a .pte to an Apple device."""

from __future__ import annotations

import typer

from etcoreml.cli.app_check import check
from etcoreml.cli.app_new import new
from etcoreml.cli.frameworks import frameworks

commands = typer.Typer(
    name="app",
    help="Make Xcode projects that run a .pte, and check it on a device.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
commands.command(name="new", short_help="Write an Xcode project that runs a .pte.")(new)
commands.command(name="check", short_help="Write a Swift package that checks a .pte on a device.")(
    check
)
commands.command(
    name="frameworks", short_help="Say how to build ExecuTorch's frameworks from source."
)(frameworks)
