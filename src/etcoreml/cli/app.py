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


# Help cuts the first sentence of a longer docstring where a line ends.
for _name, _command, _summary in (
    ("export", export, "Lower MODEL to Core ML and write a .pte."),
    ("run", run_model, "Run MODEL here: what came out, and how long it took."),
    ("inspect", inspect, "Show what MODEL holds, without running it."),
    ("compare", compare, "Say how far MODEL is from eager in fp32, by operation."),
    ("profile", profile, "Run MODEL here and say which operations take how long."),
    ("plan", plan, "Estimate which of Apple's compute units run which op."),
    ("report", report, "Write one page about MODEL: times, precision, a plan."),
    ("inspector", inspector, "Print what an ETDump says of each operation."),
    ("targets", targets, "List the systems a model can be lowered for."),
    ("export-llm", export_llm, "Lower a language model to Core ML and write a .pte."),
    ("generate", generate, "Write text with a .pte that export-llm wrote."),
    ("extract", extract, "Write the Core ML models of a .pte, for Xcode's tools."),
    ("wrap", wrap, "Make a .pte of an existing Core ML model."),
    ("bundle", bundle, "Put test cases and a .pte into one file, and check them."),
    ("doctor", doctor, "Say what is missing or broken here, and what mends it."),
):
    app.command(name=_name, short_help=_summary)(_command)
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
