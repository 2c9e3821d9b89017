"""The commands that change what is served: parse, ask the supervisor, show its steps."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from statehouse.scripts.commands.interruption import carried_out
from statehouse.scripts.commands.options import (
    DEPLOYMENT,
    EXIT_FAILED,
    AsJson,
    DeploymentFile,
    Name,
    Version,
    seconds_of,
    share_of,
)
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.progress import Step
from statehouse.scripts.terminal import changes as change_report
from statehouse.scripts.terminal import console, question

app = typer.Typer()


class WithoutTraffic(StrEnum):
    """What becomes of a version of which too few requests tell anything."""

    GO_BACK = "go-back"
    FLIP = "flip"


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


NewInterface = Annotated[
    bool,
    typer.Option(
        "--allow-new-interface",
        help="Clients are ready for other inputs, outputs or labels than they have now.",
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
    allow_new_interface: NewInterface = False,
    watch: Annotated[
        float,
        typer.Option(
            "--watch",
            parser=seconds_of,
            metavar="DURATION",
            help="Roll back if the new version is worse during this time; 0: do not watch.",
        ),
    ] = 0.0,
    shadow: Annotated[
        str | None,
        typer.Option(
            "--shadow",
            metavar="FILE|FOLDER|goldens",
            help="Compare the versions on these requests first: JSON lines, a folder of bodies, or `goldens`, "
            "the golden examples.",
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
    share_seconds: Annotated[
        float,
        typer.Option(
            "--step", parser=seconds_of, metavar="DURATION", help="How long each canary share lasts."
        ),
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
    min_requests: Annotated[
        int,
        typer.Option(
            "--min-requests",
            min=1,
            help="With --watch or --canary: with fewer requests nothing is judged, and the old version serves again.",
        ),
    ] = 50,
    without_traffic: Annotated[
        WithoutTraffic,
        typer.Option("--without-traffic", help="What becomes of a version that had fewer requests."),
    ] = WithoutTraffic.GO_BACK,
    drain_seconds: Drain = 30.0,
    no_wait: NoWait = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make a version the default, once it has proved itself.

    Brings in the first version of a name as well. If anything fails before the flip, the old
    version keeps serving and the new one is removed. A version whose inputs or outputs differ from those of
    the one that serves is refused, with what clients would meet. Ctrl-C asks whether to abort it; a second one,
    or a lost terminal, leaves it to go on: see `statehouse abort`.
    """
    _carry_out(
        ControlClient(deployment),
        "swap",
        name,
        as_json=as_json,
        version=version,
        wait=not no_wait,
        retire=retire_old,
        replace=replace,
        allow_new_interface=allow_new_interface,
        drain_seconds=drain_seconds,
        watch_seconds=watch,
        shadow=str(Path(shadow).resolve()) if shadow not in (None, "goldens") else shadow,
        shadow_tolerance=shadow_tolerance,
        fail_below=fail_below,
        canary_shares=[share_of(each) for each in canary.split(",") if each],
        canary_step_seconds=share_seconds,
        max_error_increase=max_error_increase,
        max_latency_ratio=max_latency_ratio,
        min_requests=min_requests,
        without_traffic=without_traffic.value,
    )


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
    _carry_out(
        ControlClient(deployment),
        "rollback",
        name,
        as_json=as_json,
        wait=not no_wait,
        drain_seconds=drain_seconds,
    )


@app.command(epilog="Example: statehouse retire digits 1.0")
def retire(
    name: Name,
    version: Version,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, also where it is the last version of its name.")
    ] = False,
    no_wait: NoWait = False,
    drain_seconds: Drain = 30.0,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Unload a version: any but the default, or a name's last.

    With its last version a name is not served any more, so that is asked about at a terminal, and elsewhere
    needs --yes.
    """
    client = ControlClient(deployment)
    if not yes and _is_the_last(client, name, version) and not _is_meant(name, version, deployment):
        console.err.print("Nothing was changed.")
        raise typer.Exit(EXIT_FAILED)
    _carry_out(
        client,
        "retire",
        name,
        as_json=as_json,
        version=version,
        wait=not no_wait,
        drain_seconds=drain_seconds,
    )


def _is_the_last(client: ControlClient, name: str, version: str) -> bool:
    served = [str(row["version"]) for row in client.status()["models"] if row["name"] == name]
    return served == [version]


def _is_meant(name: str, version: str, deployment: Path) -> bool:
    what = f"{name} {version} is the last version of {name}: without it, requests for {name} are refused."
    if not question.somebody_is_there():
        command = f"statehouse retire {name} {version} --yes --deployment {shlex.quote(str(deployment))}"
        raise ArgumentError(f"{what} To retire it all the same: {command}")
    return question.is_yes(f"{what}\nRetire it?")


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
    _carry_out(
        ControlClient(deployment),
        "scale",
        name,
        as_json=as_json,
        version=version,
        workers=workers,
        wait=not no_wait,
    )


@app.command(epilog="Example: statehouse apply --plan")
def apply(
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be done, and do nothing.")
    ] = False,
    allow_new_interface: NewInterface = False,
    no_wait: NoWait = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make the server match an edited deployment.yaml.

    By the same safe steps as the other commands; the plan is printed first. The file is written anew, and
    comments in it are not kept; where there is nothing to do, nothing is written.
    """
    client = ControlClient(deployment)
    plan = client.plan()
    if not as_json:
        change_report.print_plan(plan)
    # Without a plan too: an edit that changes nothing, a comment say, is known for one from then on.
    done = []
    if not only_plan:
        options = {"wait": not no_wait, "allow_new_interface": allow_new_interface}
        done = carried_out(client, "apply", _shown(as_json), **options)["done"]
    if as_json:
        console.print_json({"plan": plan, "done": done})


@app.command(epilog="Example: statehouse abort")
def abort(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """End the change that runs, and undo what it has done.

    Clients go where they went before, what was loaded for it is unloaded, and what it retired is loaded again. It
    waits until all that is done. Exit code 1: no change runs, or it was done before it could be aborted.
    """
    aborted = ControlClient(deployment).abort()
    if as_json:
        console.print_json(aborted)
    else:
        change_report.print_aborted(aborted)
    if aborted["outcome"] != "aborted":
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: statehouse history --json")
def history(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Show every change: who, when, what, and what it cost."""
    from statehouse.scripts.deployment.journal import Journal

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


def _carry_out(client: ControlClient, kind: str, name: str, *, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Have a model changed, and print what became of it."""
    result = carried_out(client, kind, _shown(as_json), name=name, **asked)
    if as_json:
        console.print_json(result)
    else:
        change_report.print_serving(name, result)
