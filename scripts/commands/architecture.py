"""`statehouse architecture`: the code that builds networks of one's own, kept beside the deployment by its digest."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.terminal import console, question
from statehouse.scripts.terminal.tables import Column, table_lines

if TYPE_CHECKING:
    from statehouse.scripts.deployment.snapshots import Kept

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Keep the code of your own networks: add, list, prune.",
    epilog="Example: statehouse architecture add my_nets",
)
_COLUMNS = (Column("MODULES"), Column("DIGEST"), Column("FILES", numeric=True), Column("SIZE", numeric=True))


@app.command(epilog="Example: statehouse architecture add my_nets --from ../checkout")
def add(
    module: Annotated[
        str,
        typer.Argument(metavar="MODULE", help="The module, or entry point, that registers architectures."),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Folder to import it from, if it is not beside the deployment file or installed.",
        ),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="SHA256", help="Only if the code is this, as a version names it."),
    ] = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Keep a module's code, for versions published elsewhere.

    `publish` does this by itself. Nothing of the module is run. A server that runs finds it immediately.
    """
    from statehouse.models.snapshots.source import find_source
    from statehouse.scripts.deployment.snapshots import Snapshots

    source = find_source(module, [folder or deployment.resolve().parent])
    if folder is not None and source.root != folder.absolute():
        raise ArgumentError(
            f"There is no module {source.module!r} in {folder}; there is one in {source.root}."
        )
    if digest is not None and digest != source.digest:
        raise ArgumentError(
            f"{source.module} in {source.root} has digest {source.digest}, not {digest}: it is not the code that the "
            "version was proved with. Get it as it was then and say where it is by --from FOLDER. Nothing was added."
        )
    snapshots = Snapshots.of_deployment(deployment)
    is_new = snapshots.add(source)
    place = snapshots.place(source.digest)
    if as_json:
        told = {"module": source.module, "digest": source.digest, "files": sorted(source.files)}
        console.print_json(told | {"place": str(place), "added": is_new})
        return
    console.say(f"✓ {source.module} {'is kept' if is_new else 'was kept already'}: {place}")
    console.say(f"  {', '.join(sorted(source.files))}")


@app.command("list", epilog="Example: statehouse architecture list --json")
def list_snapshots(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Show the code that is kept."""
    from statehouse.scripts.deployment.snapshots import Snapshots

    snapshots = Snapshots.of_deployment(deployment)
    kept = snapshots.kept()
    if as_json:
        told = [
            {
                "modules": each.modules,
                "digest": each.digest,
                "files": each.files,
                "size_bytes": each.size_bytes,
            }
            for each in kept
        ]
        console.print_json(told)
        return
    _print_kept(kept)
    console.say(f"in {snapshots.folder}" if kept else f"No code is kept in {snapshots.folder}.")


@app.command(epilog="Example: statehouse architecture prune --yes")
def prune(
    stores: Annotated[
        list[str] | None,
        typer.Option(
            "--store",
            metavar="FOLDER|URL",
            help="Another model store whose versions count, beside the deployment's; repeatable.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Remove the code that no version names any more.

    Kept is what a version of the model store, the deployment or its history names, and what was added within the
    last hour. It is asked about at a terminal, and elsewhere needs --yes. Exit code 1: nothing was removed.
    """
    from statehouse.scripts.deployment.project import Project
    from statehouse.scripts.deployment.snapshots import Snapshots
    from statehouse.scripts.deployment.unused_code import unused_code

    opened = [Project.of_deployment(deployment, each).store for each in (None, *(stores or ()))]
    unused = unused_code(deployment, opened)
    if unused and not yes and not _is_meant(unused, deployment):
        console.err.print("Nothing was removed.")
        raise typer.Exit(EXIT_FAILED)
    snapshots = Snapshots.of_deployment(deployment)
    for each in unused:
        snapshots.remove(each.digest)
    if as_json:
        console.print_json({"removed": [each.digest for each in unused]})
        return
    _print_kept(unused)
    console.say("✓ removed" if unused else f"A version names each copy in {snapshots.folder}, or it is new.")


def _is_meant(unused: list[Kept], deployment: Path) -> bool:
    if not question.somebody_is_there():
        command = f"statehouse architecture prune --yes --deployment {shlex.quote(str(deployment))}"
        count = f"{len(unused)} {'copies are' if len(unused) > 1 else 'copy is'} named by no version."
        raise ArgumentError(f"{count} To remove: {command}")
    told = [f"{', '.join(each.modules)} {each.digest[:12]}" for each in unused]
    return question.is_yes("\n".join(["No version names:", *told, "Remove them?"]))


def _print_kept(kept: list[Kept]) -> None:
    rows = [
        [
            ", ".join(each.modules),
            each.digest[:12],
            f"{len(each.files):,}",
            console.size_text(each.size_bytes),
        ]
        for each in kept
    ]
    for line in table_lines(_COLUMNS, rows, width=console.width_of(console.out), headed=bool(rows)):
        console.out.print(line)
