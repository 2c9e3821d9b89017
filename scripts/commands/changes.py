"""The commands that change what is served: parse, ask the supervisor, show its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.commands.options import DEPLOYMENT, AsJson, DeploymentFile, Name, Version, seconds_of, share_of
from scripts.control import ControlClient
from scripts.steps import Step
from scripts.terminal import changes as change_report
from scripts.terminal import console

app = typer.Typer()

NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Be refused while another change runs, rather than wait for it.")
]
Drain = Annotated[
    float,
    typer.Option(
        "--drain",
        parser=seconds_of,
        metavar="DURATION",
        help="How long to wait for requests in flight.",
    ),
]


@app.command(epilog="Example: statehouse swap digits 1.1 --watch 30s")
def swap(
    name: Name,
    version: Version,
    retire_old: Annotated[
        bool, typer.Option("--retire", help="Unload the old version; else it is kept for `rollback`.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Stop the old version first, where both do not fit in memory.")
    ] = False,
    watch: Annotated[
        float,
        typer.Option(
            "--watch",
            parser=seconds_of,
            metavar="DURATION",
            help="Go back by itself when the new one is worse within so long.",
        ),
    ] = 0.0,
    shadow: Annotated[
        str | None,
        typer.Option(
            "--shadow",
            metavar="FILE|FOLDER|goldens",
            help="Compare the versions on these requests first: JSON lines, a folder of bodies, or goldens.",
        ),
    ] = None,
    fail_below: Annotated[
        float,
        typer.Option(
            "--fail-below",
            parser=share_of,
            metavar="SHARE",
            help="With --shadow: refuse below this agreement.",
        ),
    ] = 0.0,
    shadow_tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="With --shadow: how far numbers may differ.")
    ] = 1e-3,
    canary: Annotated[
        str, typer.Option("--canary", metavar="SHARES", help="Real traffic first, such as 5%,25%,100%.")
    ] = "",
    step: Annotated[
        float,
        typer.Option("--step", parser=seconds_of, metavar="DURATION", help="How long each canary share."),
    ] = 30.0,
    max_error_increase: Annotated[
        float,
        typer.Option(
            "--max-error-increase",
            parser=share_of,
            metavar="SHARE",
            help="More failed answers than this is worse.",
        ),
    ] = 0.01,
    max_latency_ratio: Annotated[
        float,
        typer.Option("--max-latency-ratio", min=1, help="A p99 this many times the old one's is worse."),
    ] = 1.5,
    drain_seconds: Drain = 30.0,
    no_wait: NoWait = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make a version the default, once it has proved itself.

    Brings in the first version of a name as well. Whatever fails before the flip leaves the old
    version serving and nothing of the new one.
    """
    result = ControlClient(deployment).change(
        "swap",
        _shown(as_json),
        name=name,
        version=version,
        wait=not no_wait,
        retire=retire_old,
        replace=replace,
        drain_seconds=drain_seconds,
        watch_seconds=watch,
        shadow=str(Path(shadow).resolve()) if shadow not in (None, "goldens") else shadow,
        shadow_tolerance=shadow_tolerance,
        fail_below=fail_below,
        canary_shares=[share_of(each) for each in canary.split(",") if each],
        canary_step_seconds=step,
        max_error_increase=max_error_increase,
        max_latency_ratio=max_latency_ratio,
    )
    _print_result(name, result, as_json)


@app.command(epilog="Example: statehouse rollback digits")
def rollback(
    name: Name,
    no_wait: NoWait = False,
    drain_seconds: Drain = 30.0,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make the version before this one serve again.

    At once if it is still loaded, else by a full swap.
    """
    client = ControlClient(deployment)
    result = client.change(
        "rollback", _shown(as_json), name=name, wait=not no_wait, drain_seconds=drain_seconds
    )
    _print_result(name, result, as_json)


@app.command(epilog="Example: statehouse retire digits 1.0")
def retire(
    name: Name,
    version: Version,
    no_wait: NoWait = False,
    drain_seconds: Drain = 30.0,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Unload a version: any but the default, or a name's last."""
    result = ControlClient(deployment).change(
        "retire",
        _shown(as_json),
        name=name,
        version=version,
        wait=not no_wait,
        drain_seconds=drain_seconds,
    )
    _print_result(name, result, as_json)


@app.command(epilog="Example: statehouse scale digits 1.1 2")
def scale(
    name: Name,
    version: Version,
    workers: Annotated[int, typer.Argument(metavar="N", min=1, help="How many workers.")],
    no_wait: NoWait = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Give a version N workers, without losing a request."""
    result = ControlClient(deployment).change(
        "scale", _shown(as_json), name=name, version=version, workers=workers, wait=not no_wait
    )
    _print_result(name, result, as_json)


@app.command(epilog="Example: statehouse apply --plan")
def apply(
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be done, and do nothing.")
    ] = False,
    no_wait: NoWait = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make the server match an edited deployment.yaml.

    By the same safe steps as the other commands; the plan is printed first.
    """
    client = ControlClient(deployment)
    steps = client.plan()
    if not as_json:
        change_report.print_plan(steps)
    # Without steps too: an edit that changes nothing, a comment say, is known for one from then on.
    done = [] if only_plan else client.change("apply", _shown(as_json), wait=not no_wait)["done"]
    if as_json:
        console.print_json({"plan": steps, "done": done})


@app.command(epilog="Example: statehouse history --json")
def history(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Show every change: who, when, what, and what it cost."""
    from scripts.journal import Journal

    changes = list(Journal(deployment).read())
    if as_json:
        console.print_json(changes)
    else:
        change_report.print_history(changes)


def _shown(as_json: bool) -> Any:  # noqa: ANN401 - a Report
    def show(step: Step) -> None:
        if not as_json:
            console.print_step(step)

    return show


def _print_result(name: str, result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(result)
    else:
        change_report.print_serving(name, result)
