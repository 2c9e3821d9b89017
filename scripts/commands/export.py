"""The command that writes a version in the form of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands.options import DEPLOYMENT, AsJson, DeploymentFile, Name, Version
from statehouse.scripts.export.form import Form
from statehouse.scripts.terminal import console

app = typer.Typer()


@app.command(epilog="Example: statehouse export digits 1.0 --to onnx")
def export(
    name: Name,
    version: Version,
    to: Annotated[
        Form,
        typer.Option("--to", help="ONNX, TorchScript, an archive for a plain TorchServe, or the tensors."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Instead of NAME-VERSION with its suffix.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Write a version in another form, proved first.

    What is to know for its use, preprocessing and labels included, lies beside it as FILE.json.
    """
    from statehouse.scripts.deployment.project import Project

    project = Project.of_deployment(deployment)
    with console.Progress(shown=not as_json) as progress:
        from statehouse.scripts.export.export import export as export_version

        result = export_version(
            project.store,
            name,
            version,
            form=to,
            output=output,
            force=force,
            architectures=project.architectures,
            snapshots=project.snapshots,
            report=progress.step,
        )
    if as_json:
        console.print_json(result.to_plain())
        return
    console.say(f"{name} {version} as {to}:")
    for path in result.files:
        console.say(f"  {path}  ({path.stat().st_size:,} bytes)")
    console.say(
        f"  answers {result.golden_examples} golden examples as the version does, within {result.tolerance:g}"
    )
