"""The command that shows what of object storage is on this machine, and makes room."""

from __future__ import annotations

from typing import Annotated

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile
from statehouse.scripts.terminal import console

app = typer.Typer()


@app.command(epilog="Example: statehouse cache --prune")
def cache(
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove every version that no server uses, and unfinished transfers."),
    ] = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Show what was fetched from object storage, or make room.

    Servers keep the cache below limits.max_cache_bytes by themselves: what was not used for longest goes
    first. Exit code 1: nothing was removed, because something is being fetched or published.
    """
    from statehouse.scripts.deployment.project import Project
    from statehouse.scripts.store.cache import Cache, default_folder
    from statehouse.scripts.store.eviction import cached_versions, make_room, size_of
    from statehouse.scripts.terminal import cache as report

    found = Cache(default_folder(), Project.of_deployment(deployment).max_cache_bytes)
    room = make_room(found, 0) if prune else None
    versions, size_bytes = cached_versions(found), size_of(found)
    if as_json:
        console.print_json(report.plain(found, versions, size_bytes, room))
    else:
        report.print_cache(found, versions, size_bytes, room)
    if room is not None and room.busy:
        raise typer.Exit(EXIT_FAILED)
