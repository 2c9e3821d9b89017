"""Arguments and options that several commands share, and how their texts are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands import completion
from statehouse.scripts.commands.values import parse_duration
from statehouse.scripts.errors import ArgumentError

DeploymentFile = Annotated[
    Path,
    typer.Option(
        "--deployment", metavar="FILE", envvar=completion.DEPLOYMENT_VARIABLE, help="The deployment file."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help="The model store, if not the deployment's: s3://bucket/prefix, …",
    ),
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=completion.names, help="The model's name.")
]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", autocompletion=completion.versions, help="A published version.")
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="NAME[/VERSION]", autocompletion=completion.targets, help="The model, or one version of it."
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SOURCE",
        rich_help_panel="What is sent",
        help="A body's file, a folder of them, JSON lines (.jsonl), or `goldens`, the golden examples, which is the "
        "default; repeatable.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Has the key to send, where keys are asked for; or set STATEHOUSE_KEY.",
    ),
]
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # by Ctrl-C
DEPLOYMENT = Path(completion.DEFAULT_DEPLOYMENT)


def seconds_of(text: str | float) -> float:
    """Return the seconds that ``30s``, ``500ms`` or ``2m`` mean; typer hands defaults, seconds, in as well."""
    if isinstance(text, float):
        return text
    try:
        return parse_duration(text)
    except ArgumentError as error:
        raise typer.BadParameter(str(error)) from error


def share_of(text: str | float) -> float:
    """Return the share that ``5%`` or ``0.05`` means, 0 to 1."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%)?", str(text).strip())
    share = float(found[1]) / (100 if found[2] else 1) if found else -1
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is not a share; expected one like 5% or 0.05")
    return share
