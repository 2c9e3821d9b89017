"""`statehouse`, the operator's command: parse, call, print.

Exit codes: 0 it did what it says; 1 it was refused or failed, with every reason; 2 the command line
is wrong; 3 nothing serves this deployment; 128 and the signal's number (130: Ctrl-C) when one ended it.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Annotated

import typer

from statehouse import __version__
from statehouse.models.errors import ProblemsError, StatehouseError
from statehouse.scripts.commands import (
    architecture,
    cache,
    changes,
    export,
    key,
    load_test,
    logs,
    publish,
    requests,
    serve,
    tune,
)
from statehouse.scripts.commands.options import EXIT_FAILED, EXIT_INTERRUPTED
from statehouse.scripts.errors import ArgumentError, CommandError, GoesOnError, NotServingError
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal.escaping import escaped

EXIT_NOT_SERVING = 3

app = typer.Typer(
    help="Checkpoints in, verified endpoints out: serve PyTorch checkpoints on TorchServe.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (publish, serve, requests, load_test, changes, logs, tune, cache, export):
    app.add_typer(group.app)
app.add_typer(key.app, name="key")
app.add_typer(architecture.app, name="architecture")


def main() -> None:
    """Run the command; every error of ours becomes one clear message and an exit code."""
    _print_whatever_the_encoding()
    try:
        app()
    except GoesOnError as error:
        _leave(error)
    except NotServingError as error:
        _fail(error, EXIT_NOT_SERVING)
    except StatehouseError as error:
        _fail(error, EXIT_FAILED)
    except UnicodeEncodeError:
        _fail(
            ArgumentError("An argument is not text in UTF-8; names and versions are plain letters."),
            EXIT_FAILED,
        )
    except OSError as error:  # the terminal, the pipe or the disk that we print to
        _fail(CommandError(f"{error.strerror or error}: {error.filename or 'what is printed'}"), EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _print_whatever_the_encoding() -> None:
    """What the terminal's encoding lacks is printed as an escape, as errors are; never the end of a command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _leave(error: GoesOnError) -> None:
    """End before what goes on has ended; the terminal that would show it may be gone."""
    with contextlib.suppress(OSError):
        if "--json" in sys.argv:
            console.print_json({"error": type(error).__name__, "message": str(error)})
        else:
            console.pause()
            console.say(str(error), console.err)
    sys.exit(error.exit_code)


def _fail(error: StatehouseError, exit_code: int) -> None:
    if "--json" in sys.argv:
        problems = {"problems": error.problems} if isinstance(error, ProblemsError) else {}
        console.print_json({"error": type(error).__name__, "message": str(error), **problems})
    else:
        console.print_error(_with_arguments_in_one_line(str(error)))
    sys.exit(exit_code)


def _with_arguments_in_one_line(message: str) -> str:
    """Whatever a file is called that was named on the command line, its name ends no line of a message."""
    for argument in sys.argv[1:]:
        if "\n" in argument:
            message = message.replace(argument, escaped(argument))
    return message


def _print_version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"statehouse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Checkpoints in, verified endpoints out."""
