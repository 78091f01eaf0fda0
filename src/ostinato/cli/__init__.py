"""The command line: one file a command group. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from ..errors import OstinatoError
from .derive import derive
from .memory import memory
from .runs import runs
from .several_values import SeveralValues

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False
)
app.command()(derive)
app.command(cls=SeveralValues)(memory)
app.add_typer(runs, name="runs")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ostinato {version('ostinato')}")
        raise typer.Exit


@app.callback()
def ostinato(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Recurrent neural networks: write a recurrence once, train it by the hundred, see what it remembers.

    To begin with:

    ostinato derive lstm

    ostinato memory --lengths 10 20 --epochs 100

    ostinato memory --help
    """


def main() -> None:
    """Run the command line; what the library refuses is one sentence on stderr and exit code 2."""
    # An import that is interrupted half-way cannot be mended: until a command takes over, Ctrl-C ends the program.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        app()
    except OstinatoError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _refuse(message: str) -> NoReturn:
    typer.echo(f"ostinato: {message}", err=True)
    sys.exit(2)
