"""The commands that serve a deployment and show what it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from statehouse import __version__
from statehouse.scripts.commands.options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile, Store
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.terminal import console

if TYPE_CHECKING:
    from statehouse.scripts.supervisor.parts import ServerParts

app = typer.Typer()


@app.command(epilog="Example: statehouse serve --deployment deployment.yaml")
def serve(
    store: Store = None,
    deployment: DeploymentFile = DEPLOYMENT,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Write down the requests that go well too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a deployment until Ctrl-C, which drains and stops.

    Without a deployment file, one is made of the highest version of each name in ./model_store,
    or in --store.
    Requests that were not answered well go to deployment.problems.jsonl, a line each; what the servers say
    goes to deployment.log: see `statehouse logs`.
    With --json, one line is printed once the server is up.
    """
    from statehouse.scripts import serve as serving
    from statehouse.scripts.commands.curl_lines import curl_lines

    def on_ready(parts: ServerParts, missing: list[str]) -> None:
        if as_json:
            urls = {part: parts.addresses.url(part) for part in ("front", "reader")}
            console.print_json({"ready": not missing, "missing": missing, **urls}, indent=None)
            return
        lines = curl_lines(
            parts.fleet.versions.values(),
            parts.front.default_of,
            front_url=parts.addresses.url("front"),
            folder=parts.runtime.path / "requests",
            asks_for_keys=parts.gate.asks_for_keys,
        )
        console.print_ready(parts.addresses, missing, lines)
        if parts.gate.asks_for_keys and not parts.gate.keys.clients:
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
        bool,
        typer.Option(
            "--ready", help="Exit code 1 unless versions are served and every one has proved itself."
        ),
    ] = False,
    must_be_live: Annotated[
        bool,
        typer.Option("--live", help="Exit code 1 unless the servers run and answer, whatever they serve."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show versions, workers, queues, latency and digests.

    FAILED counts answers of 5xx: the server's fault. Percentiles are of all answers since a version was
    loaded, from 20 answers on. Exit code 0: something serves, ready or not; 3: nothing does.
    """
    current = ControlClient(deployment).status()
    if as_json:
        console.print_json(current)
    else:
        console.print_status(current)
    if (must_be_ready and not current["ready"]) or (must_be_live and not current["live"]):
        raise typer.Exit(EXIT_FAILED)
