"""`statehouse key`: who may use the front where the deployment asks for keys. A key is shown once and kept nowhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, AsJson, DeploymentFile, seconds_of
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal.tables import Column, table_lines

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Manage clients' keys: add, rotate, limit, revoke, list.",
    epilog="Example: statehouse key add shop --rate 200",
)

Client = Annotated[
    str, typer.Argument(metavar="CLIENT", help="The client's name: letters, digits, dots, dashes.")
]
Rate = Annotated[
    int | None,
    typer.Option("--rate", metavar="N", min=1, help="Requests per second; 100 where nothing is said."),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", min=1, help="Requests in flight; 32 where nothing is said."),
]
Metrics = Annotated[
    bool | None,
    typer.Option("--metrics/--no-metrics", help="May read /metrics and /ready through the front."),
]
_COLUMNS = (
    *(Column("CLIENT"), Column("RATE", numeric=True), Column("CONCURRENCY", numeric=True), Column("METRICS")),
    *(Column("KEYS"),),
)


@app.command(epilog="Example: statehouse key add shop --rate 200 --concurrency 16")
def add(
    client: Client,
    rate: Rate = None,
    concurrency: Concurrency = None,
    metrics: Metrics = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Give a new client a key, and print it: this once."""
    limits = _limits(rate, concurrency, metrics)
    _print_key(ControlClient(deployment).change_key("add", client, limits=limits), as_json)


@app.command(epilog="Example: statehouse key rotate shop --keep 1h")
def rotate(
    client: Client,
    keep_seconds: Annotated[
        float,
        typer.Option(
            "--keep",
            parser=seconds_of,
            metavar="DURATION",
            help="How long the key before is valid too; else 24h.",
        ),
    ] = 86400.0,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Give a client another key, and print it.

    For as long as --keep says both are valid.
    """
    _print_key(ControlClient(deployment).change_key("rotate", client, keep_seconds=keep_seconds), as_json)


@app.command(epilog="Example: statehouse key limit shop --rate 50")
def limit(
    client: Client,
    rate: Rate = None,
    concurrency: Concurrency = None,
    metrics: Metrics = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Change what a client may send; what is not said stays."""
    limits = _limits(rate, concurrency, metrics)
    if not limits:
        raise typer.BadParameter("say what to change: --rate, --concurrency or --metrics.")
    told = ControlClient(deployment).change_key("limit", client, limits=limits)
    del told["key"]
    _print_clients([told], as_json)


@app.command(epilog="Example: statehouse key revoke shop")
def revoke(client: Client, deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Let a client in no more, from its next request on."""
    ControlClient(deployment).change_key("revoke", client)
    if as_json:
        console.print_json({"client": client, "revoked": True})
    else:
        console.out.print(f"{client} is not let in any more.")


@app.command("list", epilog="Example: statehouse key list --json")
def list_clients(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Show the clients that have keys, and their limits."""
    _print_clients(ControlClient(deployment).client_keys(), as_json)


def _limits(rate: int | None, concurrency: int | None, metrics: bool | None) -> dict[str, int | bool]:
    given = {"requests_per_second": rate, "concurrent_requests": concurrency, "metrics": metrics}
    return {name: value for name, value in given.items() if value is not None}


def _print_key(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(told)
        return
    console.out.print(told["key"])
    others = [key for key in told["keys"] if key["until_unix_seconds"]]
    before = f" The key before is valid until {_time(others[-1])}." if others else ""
    console.err.print(f"The key of {told['client']}; it is shown this once.{before}")


def _print_clients(clients: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        console.print_json({"clients": clients})
        return
    rows = [_row(client) for client in clients]
    if not rows:
        console.out.print("No client has a key yet: statehouse key add CLIENT")
    for line in table_lines(_COLUMNS, rows, width=console.width_of(console.out), headed=bool(rows)):
        console.out.print(line)


def _row(client: dict[str, Any]) -> list[str]:
    keys = [
        f"until {_time(key)}" if key["until_unix_seconds"] else f"since {key['added'][:10]}"
        for key in client["keys"]
    ]
    limits = [str(client[name]) for name in ("requests_per_second", "concurrent_requests")]
    return [client["client"], *limits, "yes" if client["metrics"] else "no", ", ".join(keys)]


def _time(key: dict[str, Any]) -> str:
    return datetime.fromtimestamp(key["until_unix_seconds"], UTC).strftime("%Y-%m-%d %H:%M UTC")
