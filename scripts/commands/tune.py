"""The command that finds a version's best settings: parse, tune, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, AsJson, DeploymentFile, Inputs, Name, seconds_of
from statehouse.scripts.terminal import console

app = typer.Typer()


@app.command(epilog="Example: statehouse tune digits --p99-ms 20 --connections 64")
def tune(
    name: Name,
    p99_ms: Annotated[
        float | None,
        typer.Option("--p99-ms", metavar="MS", help="The limit; else twice the lowest p99 that is found."),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections", min=1, help="Clients that wait for each answer. Else 1, 4, 8, 16 and 64."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="N", help="Requests per second, on a schedule: the shortest p99 wins."
        ),
    ] = None,
    duration_seconds: Annotated[
        float,
        typer.Option(
            "--duration", parser=seconds_of, metavar="DURATION", help="How long a round: 500ms, 2s."
        ),
    ] = 2.0,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, metavar="N", help="At most so many; stable figures need fewer.")
    ] = 3,
    batch_sizes: Annotated[
        str | None, typer.Option("--batch-sizes", metavar="SIZES", help="What to try, such as 1,8,32.")
    ] = None,
    bfloat16: Annotated[
        bool,
        typer.Option(
            "--bfloat16",
            help="Try bfloat16 too: faster where the processor has AMX, answers differ by a percent or so.",
        ),
    ] = False,
    inputs: Inputs = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw throughput and p99.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and show, and write nothing.")] = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Find the best batch size, workers and threads.

    Tries settings on the running server, whose other clients lose no request, but feel the load. What
    a second run confirms to be 5 % better is written to the deployment; else, and after Ctrl-C, the
    settings are those of before.
    """
    from statehouse.scripts.tuning.candidates import BATCH_SIZES
    from statehouse.scripts.tuning.choice import Goal
    from statehouse.scripts.tuning.tune import TuneOptions, tune

    _refuse_wrong_usage(p99_ms, connections, rate, plot)
    goal = Goal(None if p99_ms is None else p99_ms / 1e3, rate)
    options = TuneOptions(
        goal,
        connections,
        duration_seconds,
        rounds,
        dry_run,
        tuple(inputs or ()),
        _numbers("--batch-sizes", batch_sizes or "", 1, 1024) or BATCH_SIZES,
        bfloat16,
    )
    result = tune(name, options, deployment_file=deployment, shown=not as_json)
    if as_json:
        from statehouse.scripts.tuning.result import plain_result

        console.print_json(plain_result(result))
    else:
        from statehouse.scripts.tuning.report import print_result

        print_result(result)
    if plot is not None:
        from statehouse.scripts.tuning.plot import write_plot

        write_plot(plot, result)


def _refuse_wrong_usage(
    p99_ms: float | None, connections: int | None, rate: float | None, plot: Path | None
) -> None:
    if connections is not None and rate is not None:
        raise typer.BadParameter("--connections and --rate do not go together: give one of them.")
    for option, value in (("--p99-ms", p99_ms), ("--rate", rate)):
        if value is not None and not 0 < value < float("inf"):
            raise typer.BadParameter(f"{option} is {value:g}; expected more than 0.")
    if plot is not None and (plot.suffix.lower() != ".svg" or not plot.absolute().parent.is_dir()):
        raise typer.BadParameter(f"--plot {str(plot)!r}: expected a file in a folder that exists, FILE.svg.")


def _numbers(option: str, text: str, least: int, most: int) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    numbers = [int(word) for word in words if word.isdecimal()]
    if len(numbers) < len(words) or not all(least <= number <= most for number in numbers):
        raise typer.BadParameter(f"{option} {text!r}: expected numbers from {least} to {most}, like 1,8,32.")
    return tuple(numbers)
