"""The typer application: sub-commands, exit codes, and how an error is shown."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

import etcoreml
from etcoreml.cli.app_commands import commands as app_commands
from etcoreml.cli.bundle import bundle
from etcoreml.cli.compare import compare
from etcoreml.cli.doctor import doctor
from etcoreml.cli.export import export
from etcoreml.cli.export_llm import export_llm
from etcoreml.cli.extract import extract
from etcoreml.cli.generate import generate
from etcoreml.cli.inspect import inspect
from etcoreml.cli.inspector import inspector
from etcoreml.cli.plan import plan
from etcoreml.cli.profile import profile
from etcoreml.cli.render import print_error
from etcoreml.cli.report import report
from etcoreml.cli.run import run as run_model
from etcoreml.cli.targets import targets
from etcoreml.cli.wrap import wrap
from etcoreml.errors import EtCoreMLError

app = typer.Typer(
    name="etcoreml",
    help="Lower PyTorch models to Core ML for ExecuTorch, and run the result on any machine.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help keeps long options whole, and costs no import of rich
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_state = {"traceback": False}


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"etcoreml {etcoreml.__version__}")
        raise typer.Exit


@app.callback()
def main(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the Python traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Lower PyTorch models to Core ML for ExecuTorch, and run the result on any machine."""
    _state["traceback"] = traceback


app.command(name="export")(export)
app.command(name="run")(run_model)
app.command(name="inspect")(inspect)
app.command(name="compare")(compare)
app.command(name="profile")(profile)
app.command(name="plan")(plan)
app.command(name="report")(report)
app.command(name="inspector")(inspector)
app.command(name="targets")(targets)
app.command(name="export-llm")(export_llm)
app.command(name="generate")(generate)
app.command(name="extract")(extract)
app.command(name="wrap")(wrap)
app.command(name="bundle")(bundle)
app.command(name="doctor")(doctor)
app.add_typer(app_commands)


def run() -> None:
    """Run the command line ``etcoreml``."""
    run_app(app, "etcoreml")


def run_app(application: typer.Typer, name: str) -> None:
    """Run a command line; errors of our tree become a message and an exit code."""
    if not sys.warnoptions:
        # What torch and executorch deprecate in each other is for their developers. `python -W`
        # and PYTHONWARNINGS show it.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
    try:
        application(prog_name=name)
    except EtCoreMLError as error:
        if _state["traceback"]:
            raise
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
