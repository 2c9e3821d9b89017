"""The commands that make a version and say what a file or a version is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from statehouse.scripts.commands import completion
from statehouse.scripts.commands.options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile, Store
from statehouse.scripts.terminal import console

app = typer.Typer()


class WeightsName(StrEnum):
    """What of a file that holds both."""

    MODEL = "model"
    EMA = "ema"


Architecture = Annotated[
    str | None,
    typer.Option(
        "--architecture",
        metavar="NAME",
        autocompletion=completion.architectures,
        help="How to rebuild it, if the file does not say.",
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="JSON|FILE", help="The architecture's config, if not in the file."),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        autocompletion=completion.tasks,
        help="What the endpoint does: image_classification, text_classification, embedding, tabular, tensor …",
    ),
]
TaskConfig = Annotated[
    str | None,
    typer.Option("--task-config", metavar="JSON|FILE", help="The task's config: labels, features, sizes, …"),
]
Rename = Annotated[
    list[str] | None,
    typer.Option(
        "--rename",
        metavar="PATTERN=REPLACEMENT",
        help=r"Rename tensors: 'encoder\.(.*)=backbone.\1'. Repeatable, in turn; @FILE has one rule a line.",
    ),
]
WhichWeights = Annotated[
    WeightsName | None,
    typer.Option(
        "--weights", help="Of a file with both: the model's own, or their moving average (the default)."
    ),
]
FromKey = Annotated[
    str | None,
    typer.Option("--from", metavar="KEY", help="Where the weights are in the file: generator, state.model."),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="PATTERN", help=r"Leave out tensors of such names: 'loss\..*'. Repeatable."
    ),
]
AcceptRenames = Annotated[
    bool, typer.Option("--accept-renames", help="Rename tensors as the list of what does not fit proposes.")
]
Architectures = Annotated[
    list[str] | None,
    typer.Option(
        "--architectures",
        metavar="MODULE",
        help="A module that registers your own; repeatable.",
    ),
]


@app.command(epilog="Example: statehouse publish digits.pt --name digits --version 1.1")
def publish(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A file (.pt, .pth, .bin, .safetensors), an index of shards, or a folder: shards or Hugging Face's.",
        ),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", autocompletion=completion.names, help="What clients call the model."
        ),
    ],
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="Such as 1.0; published once, never changed.")
    ],
    architecture: Architecture = None,
    config: Config = None,
    task: Task = None,
    task_config: TaskConfig = None,
    rename: Rename = None,
    weights: WhichWeights = None,
    from_key: FromKey = None,
    ignore: Ignore = None,
    accept_renames: AcceptRenames = False,
    example: Annotated[
        list[Path] | None, typer.Option("--example", metavar="FILE", help="A request's body; repeatable.")
    ] = None,
    shard_size: Annotated[
        str | None,
        typer.Option(
            "--shard-size", metavar="SIZE", help="Hold a larger checkpoint in files of this size: 1GB, 500MB."
        ),
    ] = None,
    architectures: Architectures = None,
    store: Store = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make a verified version of a checkpoint, or say why not.

    A file that does not describe itself needs --architecture and --task; its config is read from the
    file (model_config) or from --config.
    """
    from statehouse.scripts.commands.values import parse_size, read_mapping, read_rules
    from statehouse.scripts.deployment.project import Project

    project = Project.of_deployment(deployment, store)
    rules = read_rules(rename or ())
    with console.Progress(shown=not as_json) as progress:
        from statehouse.scripts.publishing.publish import publish as publish_version
        from statehouse.scripts.terminal import inspection

        result = publish_version(
            checkpoint,
            store=project.store,
            name=name,
            version=version,
            architecture=architecture,
            config=read_mapping("--config", config),
            task=task,
            task_config=read_mapping("--task-config", task_config),
            rename=rules,
            weights=weights.value if weights else None,
            from_key=from_key,
            ignore=ignore or (),
            accept_renames=accept_renames,
            examples=example or (),
            max_shard_bytes=None if shard_size is None else parse_size("--shard-size", shard_size),
            architectures=(*project.architectures, *(architectures or ())),
            snapshots=project.snapshots,
            report=progress.step,
            show=lambda header: progress.between(lambda: inspection.print_reading(header)),
        )
    if as_json:
        console.print_json(console.published_facts(result))
    else:
        console.print_published(result)


@app.command(epilog="Example: statehouse inspect tutorial.pt --architecture simple_net --task tensor")
def inspect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|VERSION",
            autocompletion=completion.checkpoints_and_versions,
            help="A file, or a version: digits-1.0.",
        ),
    ],
    architecture: Architecture = None,
    config: Config = None,
    task: Task = None,
    task_config: TaskConfig = None,
    rename: Rename = None,
    weights: WhichWeights = None,
    from_key: FromKey = None,
    ignore: Ignore = None,
    accept_renames: AcceptRenames = False,
    architectures: Architectures = None,
    store: Store = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Say what a file or a version is, and whether it would load.

    Every problem is listed at once. Exit code 0: it would load; 1: it would not.
    """
    from statehouse.scripts.commands.values import read_mapping, read_rules
    from statehouse.scripts.deployment.project import Project

    project = Project.of_deployment(deployment, store)
    rules = read_rules(rename or ())
    with console.Progress(shown=not as_json) as progress:
        progress.step(f"reading {target}")
        from statehouse.scripts.publishing.inspect import inspect as inspect_target

        found = inspect_target(
            target,
            store=project.store,
            architecture=architecture,
            config=read_mapping("--config", config),
            task=task,
            task_config=read_mapping("--task-config", task_config),
            rename=rules,
            weights=weights.value if weights else None,
            from_key=from_key,
            ignore=ignore or (),
            accept_renames=accept_renames,
            architectures=(*project.architectures, *(architectures or ())),
            snapshots=project.snapshots,
            report=progress.step,
        )
    from statehouse.scripts.terminal import inspection

    told = {
        "--architecture": architecture,
        "--config": config,
        "--task": task,
        "--task-config": task_config,
        "--from": from_key,
    }
    options = [word for option, value in told.items() if value for word in (option, value)]
    options += ["--weights", weights.value] if weights else []
    options += [word for rule in rename or () for word in ("--rename", rule)]
    options += [word for pattern in ignore or () for word in ("--ignore", pattern)]
    options += ["--accept-renames"] if accept_renames else []
    options += [word for module in architectures or () for word in ("--architectures", module)]
    if as_json:
        console.print_json(found.to_plain() | {"next": inspection.next_commands(found, options)})
    else:
        inspection.print_inspection(found, publish_options=options)
    if not found.would_load:
        raise typer.Exit(EXIT_FAILED)
