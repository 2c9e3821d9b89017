"""The command that shows what the servers have said, even when none is running."""

from __future__ import annotations

import contextlib
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, AsJson, DeploymentFile
from statehouse.scripts.errors import CommandError
from statehouse.scripts.servers.log_file import Follower, last_lines, log_file_of, read_line
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal import logs as log_report

app = typer.Typer()
POLL_SECONDS = 0.2


class Of(StrEnum):
    """Whose lines."""

    SERVERS = "servers"
    SUPERVISOR = "supervisor"
    TORCHSERVE = "torchserve"
    FRONT = "front"
    WORKER = "worker"
    PROBLEMS = "problems"
    REQUESTS = "requests"


_OF_REQUESTS = (Of.PROBLEMS, Of.REQUESTS)


@app.command(epilog="Example: statehouse logs --of worker -n 20 -f")
def logs(
    of: Annotated[
        Of,
        typer.Option(
            "--of",
            help="servers: supervisor, torchserve, front and worker together; problems: requests that were not "
            "answered well; requests: those that were, if `serve --log-requests` ran.",
        ),
    ] = Of.SERVERS,
    count: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", min=0, help="How many of the last lines.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")
    ] = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Show what the servers have said, even when none is running.

    The lines lie beside the deployment file: deployment.log, deployment.problems.jsonl and
    deployment.requests.jsonl, with the older ones in .1 and so on. With --json, a JSON object per line. Exit
    code 1: the deployment has not been served, or requests were never written down.
    """
    file = _file_of(of, deployment)
    _tell_of_no_requests(file, of, follow=follow)

    def is_wanted(line: str) -> bool:
        return of is Of.SERVERS or of in _OF_REQUESTS or read_line(line).source == of

    def show(line: str) -> None:
        if of in _OF_REQUESTS:
            log_report.request_line(line, as_json=as_json)
        elif is_wanted(line):
            log_report.server_line(line, as_json=as_json)

    with contextlib.closing(Follower(file)) as follower:
        for line in last_lines(file, count, is_wanted, until=follower.begins_at):
            show(line)
        with contextlib.suppress(KeyboardInterrupt):  # how following ends
            while follow:
                for line in follower.new_lines():
                    show(line)
                time.sleep(POLL_SECONDS)


def _tell_of_no_requests(file: Path, of: Of, *, follow: bool) -> None:
    """Where there are no requests that were asked for, say how there would be; CommandError unless they are awaited."""
    if of is not Of.REQUESTS or file.exists():
        return
    told = (
        f"{file} is not there: no request that was answered well has been written down. Start the server with "
        "`statehouse serve --log-requests`; those that were not answered well: statehouse logs --of problems."
    )
    if not follow:
        raise CommandError(told)
    console.say(told, console.err)


def _file_of(of: Of, deployment: Path) -> Path:
    log = log_file_of(deployment)
    if not log.exists():
        raise CommandError(
            f"{log} is not there: {deployment} has not been served. Name another deployment with --deployment."
        )
    return deployment.with_suffix(f".{of}.jsonl") if of in _OF_REQUESTS else log
