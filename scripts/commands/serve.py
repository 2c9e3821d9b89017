"""The commands that serve a deployment and show what it serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from scripts import __version__
from scripts.commands.options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile, Store
from scripts.control import ControlClient
from scripts.terminal import console

if TYPE_CHECKING:
    from scripts.supervisor import Supervisor

app = typer.Typer()


@app.command(epilog="Example: statehouse serve --deployment deployment.yaml")
def serve(
    store: Store = None,
    deployment: DeploymentFile = DEPLOYMENT,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Write down every request, not only the problems.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a deployment until Ctrl-C, which drains and stops.

    Without a deployment file, one is made of the highest version of each name in ./model_store,
    or in --store.
    Requests that were not answered well go to deployment.problems.jsonl, a line each.
    With --json, one line is printed once the server is up.
    """
    from scripts import serve as serving
    from scripts.samples import curl_lines

    def on_ready(supervisor: Supervisor, missing: list[str]) -> None:
        if as_json:
            print(
                json.dumps(
                    {
                        "ready": not missing,
                        "missing": missing,
                        "front": supervisor.addresses.url("front"),
                        "reader": supervisor.addresses.url("reader"),
                    }
                ),
                flush=True,
            )
            return
        lines = curl_lines(
            supervisor.versions.values(),
            supervisor.front.default_of,
            front_url=supervisor.addresses.url("front"),
            folder=supervisor.runtime.path / "samples",
            asks_for_keys=supervisor.gate.asks_for_keys,
        )
        console.print_ready(supervisor.addresses, missing, lines)
        if supervisor.gate.asks_for_keys and not supervisor.gate.keys.clients:
            console.say("No client has a key yet, so all are refused: statehouse key add CLIENT", console.err)

    if not as_json:
        console.err.print(f"Statehouse {__version__} · {deployment}")
    serving.serve(
        deployment,
        report=console.print_step,
        say=console.print_server_line,
        on_ready=on_ready,
        log_requests=log_requests,
        store=store,
    )


@app.command(epilog="Example: statehouse status --json")
def status(
    deployment: DeploymentFile = DEPLOYMENT,
    must_be_ready: Annotated[
        bool, typer.Option("--ready", help="Exit code 1 unless every version has proved itself.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show versions, workers, queues, defaults, latency and digests.

    FAILED counts answers of 5xx: the server's fault. Percentiles are of all answers since a version was
    loaded, from 20 answers on. Exit code 0: something serves, ready or not; 3: nothing does.
    """
    current = ControlClient(deployment).status()
    if as_json:
        console.print_json(current)
    else:
        console.print_status(current)
    if must_be_ready and not current["ready"]:
        raise typer.Exit(EXIT_FAILED)
