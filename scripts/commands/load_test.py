"""`statehouse load-test`: parse, choose the kind of load, run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands.options import (
    DEPLOYMENT,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    AsJson,
    DeploymentFile,
    Inputs,
    Target,
    seconds_of,
)
from statehouse.scripts.commands.panels import PanelledCommand

app = typer.Typer()

_WHEN, _WHAT, _WHY, _OUT = "When requests are sent", "What is sent", "What is found out", "What comes of it"
_DURATION_SECONDS = 10.0
_ROUND_SECONDS = 5.0  # of --find-capacity
_COMPARED_SECONDS = 30.0

_EXAMPLES = """Example: statehouse load-test digits --rate 500 --duration 10s --html r.html --fail-if "errors > 0"

\b
Examples of more:
  load-test digits --connections 64
  load-test digits --rate 500 --during "swap digits 1.1"
  load-test digits --find-capacity --p99-ms 50
  load-test digits --rate 200 --compare 1.1 --fail-if "p99 > 1.1x"
  load-test digits --schedule monday.csv --input bodies/"""


@app.command("load-test", cls=PanelledCommand, epilog=_EXAMPLES)
def load_test(
    target: Target,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="N",
            rich_help_panel=_WHEN,
            help="Requests per second, evenly spaced (open loop).",
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections",
            metavar="N",
            rich_help_panel=_WHEN,
            help="Clients that wait for each answer (closed loop).",
        ),
    ] = None,
    schedule: Annotated[
        Path | None,
        typer.Option(
            "--schedule",
            metavar="FILE",
            rich_help_panel=_WHEN,
            help="At recorded times: a number of seconds on each line, or the --csv of a load.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            "--duration",
            parser=seconds_of,
            metavar="DURATION",
            rich_help_panel=_WHEN,
            help="How long: 500ms, 10s, 2m. Else 10s; --find-capacity: 5s a round; --compare: 30s in all.",
        ),
    ] = None,
    poisson: Annotated[
        bool,
        typer.Option("--poisson", rich_help_panel=_WHEN, help="Space --rate at random, as many clients do."),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", rich_help_panel=_WHEN, help="Of --poisson.")
    ] = 0,
    ramp_to: Annotated[
        float | None,
        typer.Option(
            "--ramp-to",
            metavar="N",
            rich_help_panel=_WHEN,
            help="Go from --rate to this rate, in a straight line.",
        ),
    ] = None,
    inputs: Inputs = None,
    grpc: Annotated[
        bool,
        typer.Option("--grpc", rich_help_panel=_WHAT, help="Over TorchServe's gRPC; needs the extra grpc."),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            rich_help_panel=_WHAT,
            help="Has the key to send, where keys are asked for; or set STATEHOUSE_KEY.",
        ),
    ] = None,
    timeout_seconds: Annotated[
        float,
        typer.Option(
            "--timeout",
            parser=seconds_of,
            metavar="DURATION",
            rich_help_panel=_WHAT,
            help="How long each answer may take.",
        ),
    ] = 10.0,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            max=64,
            rich_help_panel=_WHAT,
            help="Send from so many processes.",
        ),
    ] = 1,
    during: Annotated[
        str | None,
        typer.Option(
            "--during",
            metavar="COMMAND",
            rich_help_panel=_WHY,
            help="Run a statehouse command halfway, between two halves of --duration; tell each version "
            "before, during and after.",
        ),
    ] = None,
    find_capacity: Annotated[
        bool,
        typer.Option(
            "--find-capacity", rich_help_panel=_WHY, help="Search the highest rate that keeps --p99-ms."
        ),
    ] = False,
    p99_ms: Annotated[
        float | None,
        typer.Option("--p99-ms", metavar="MS", rich_help_panel=_WHY, help="The limit of --find-capacity."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="VERSION",
            rich_help_panel=_WHY,
            help="The same load on this version too, in turn; ratios with confidence intervals.",
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            metavar="N",
            min=2,
            max=100,
            rich_help_panel=_WHY,
            help="Of each version with --compare.",
        ),
    ] = 6,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            rich_help_panel=_OUT,
            help="Exit 1 if so: 'errors > 0', 'p99 > 50ms', 'rate < 480'; --compare: 'p99 > 1.1x'. Repeatable.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", rich_help_panel=_OUT, help="Write a page with plots."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", rich_help_panel=_OUT, help="Write a line per request, or per round."
        ),
    ] = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Send a counted load; say what became of each request.

    With --rate latency counts from when each request was due: a stall shows. No warm-up is hidden.
    Conditions of --fail-if: p50, p90, p99, p99.9, max, gap (the longest time without an answer), errors
    (anything but a 2xx), timeouts, unsent, rate. Ctrl-C ends a load early, with what it found so far,
    and exit code 130.
    """
    from statehouse.scripts.access.front_door import key_from
    from statehouse.scripts.load_test import command
    from statehouse.scripts.load_test.fail_if import parse_conditions
    from statehouse.scripts.load_test.target import ArrivalOptions

    _refuse_wrong_usage(find_capacity, p99_ms, compare, during)
    for option, file in (("--html", html), ("--csv", csv)):
        if file is not None and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"{option} {str(file)!r}: expected a file in a folder that exists.")
    options = command.LoadOptions(
        target,
        deployment,
        inputs=tuple(inputs or ()),
        timeout_seconds=timeout_seconds,
        grpc=grpc,
        key=key_from(key_file),
        processes=processes,
        conditions=parse_conditions(fail_if or ()),
        html=html,
        csv=csv,
        as_json=as_json,
    )
    default = _COMPARED_SECONDS if compare is not None else _DURATION_SECONDS
    arrivals = ArrivalOptions(
        duration or default,
        rate=rate,
        poisson=poisson,
        seed=seed,
        ramp_to=ramp_to,
        schedule=schedule,
        connections=connections,
    )
    if find_capacity:
        _refuse_other_arrivals(connections, schedule, poisson, ramp_to)
        verdict = command.capacity(
            options,
            p99_limit_seconds=(p99_ms or 0) / 1e3,
            start=rate,
            round_seconds=duration or _ROUND_SECONDS,
        )
    elif compare is not None:
        verdict = command.compare(options, arrivals, compare, rounds)
    else:
        verdict = command.load(options, arrivals, during)
    if verdict.failed or verdict.interrupted:
        raise typer.Exit(EXIT_FAILED if verdict.failed else EXIT_INTERRUPTED)


def _refuse_wrong_usage(
    find_capacity: bool, p99_ms: float | None, compare: str | None, during: str | None
) -> None:
    given = {
        "--find-capacity": find_capacity,
        "--compare": compare is not None,
        "--during": during is not None,
    }
    kinds = [option for option, is_given in given.items() if is_given]
    if len(kinds) > 1:
        raise typer.BadParameter(f"{' and '.join(kinds)} do not go together: give one of them.")
    if find_capacity and p99_ms is None:
        raise typer.BadParameter("--find-capacity needs its limit: give --p99-ms, such as --p99-ms 50.")
    if p99_ms is not None and not find_capacity:
        raise typer.BadParameter(
            "--p99-ms is the limit of --find-capacity; a load fails by --fail-if 'p99 > 50ms'."
        )
    if p99_ms is not None and not 0 < p99_ms < float("inf"):
        raise typer.BadParameter(f"--p99-ms is {p99_ms:g}; expected more than 0.")


def _refuse_other_arrivals(
    connections: int | None, schedule: Path | None, poisson: bool, ramp_to: float | None
) -> None:
    given = {
        "--connections": connections is not None,
        "--schedule": schedule is not None,
        "--poisson": poisson,
        "--ramp-to": ramp_to is not None,
    }
    for option, is_given in given.items():
        if is_given:
            raise typer.BadParameter(
                f"{option} does not go with --find-capacity, which searches a constant rate (from --rate on)."
            )
