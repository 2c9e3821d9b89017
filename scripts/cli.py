"""`statehouse`, the operator's command: parse, call, print.

Exit codes: 0 it did what it says; 1 it was refused or failed, with every reason; 2 the command line
is wrong; 3 nothing serves this deployment.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import ProblemsError, StatehouseError
from scripts import __version__, cli_changes, cli_load_test, cli_requests, cli_tune, completion, console
from scripts.cli_options import DEPLOYMENT, EXIT_FAILED, AsJson, DeploymentFile
from scripts.control import ControlClient
from scripts.errors import ArgumentError, CommandError, NotServingError

if TYPE_CHECKING:
    from scripts.supervisor import Supervisor

EXIT_NOT_SERVING = 3
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Checkpoints in, verified endpoints out: serve PyTorch checkpoints on TorchServe.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_requests.app)
app.add_typer(cli_load_test.app)
app.add_typer(cli_changes.app)
app.add_typer(cli_tune.app)

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
        help="What the endpoint does: image_classification, tabular or tensor.",
    ),
]
TaskConfig = Annotated[
    str | None,
    typer.Option("--task-config", metavar="JSON|FILE", help="The task's config: labels, features, sizes, …"),
]
Architectures = Annotated[
    list[str] | None,
    typer.Option(
        "--architectures",
        metavar="MODULE",
        help="A module that registers your own; repeatable.",
    ),
]


def main() -> None:
    """Run the command; every error of ours becomes one clear message and an exit code."""
    _print_whatever_the_encoding()
    try:
        app()
    except NotServingError as error:
        _fail(error, EXIT_NOT_SERVING)
    except StatehouseError as error:
        _fail(error, EXIT_FAILED)
    except UnicodeEncodeError:
        _fail(
            ArgumentError("An argument is not text in UTF-8; names and versions are plain letters."),
            EXIT_FAILED,
        )
    except OSError as error:  # the terminal, the pipe or the disk that we print to
        _fail(CommandError(f"{error.strerror or error}: {error.filename or 'what is printed'}"), EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _print_whatever_the_encoding() -> None:
    """What the terminal's encoding lacks is printed as an escape, as errors are; never the end of a command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(error: StatehouseError, exit_code: int) -> None:
    if "--json" in sys.argv:
        problems = {"problems": error.problems} if isinstance(error, ProblemsError) else {}
        console.print_json({"error": type(error).__name__, "message": str(error), **problems})
    else:
        console.print_error(str(error))
    sys.exit(exit_code)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"statehouse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Checkpoints in, verified endpoints out."""


@app.command(epilog="Example: statehouse publish digits.pt --name digits --version 1.1")
def publish(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .pt or .safetensors file.")],
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
    example: Annotated[
        list[Path] | None, typer.Option("--example", metavar="FILE", help="A request's body; repeatable.")
    ] = None,
    architectures: Architectures = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Make a verified version of a checkpoint, or say why not.

    A file that does not describe itself needs --architecture and --task; its config is read from the
    file (model_config) or from --config.
    """
    from scripts.project import Project, read_mapping

    project = Project.of_deployment(deployment)
    with console.Progress(shown=not as_json) as progress:
        from scripts.publish import publish as publish_version

        result = publish_version(
            checkpoint,
            store=project.store,
            name=name,
            version=version,
            architecture=architecture,
            config=read_mapping("--config", config),
            task=task,
            task_config=read_mapping("--task-config", task_config),
            examples=example or (),
            architectures=(*project.architectures, *(architectures or ())),
            report=progress.step,
        )
    if as_json:
        console.print_json(console.published_facts(result))
    else:
        console.print_published(
            result, project.modules_to_name(architectures or (), result.version.manifest.architecture)
        )


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
    architectures: Architectures = None,
    deployment: DeploymentFile = DEPLOYMENT,
    as_json: AsJson = False,
) -> None:
    """Say what a file or a version is, and whether it would load.

    Every problem is listed at once. Exit code 0: it would load; 1: it would not.
    """
    from scripts.project import Project, read_mapping

    project = Project.of_deployment(deployment)
    with console.Progress(shown=not as_json) as progress:
        progress.step(f"reading {target}")
        from scripts.inspection import inspect as inspect_target

        found = inspect_target(
            target,
            store=project.store,
            architecture=architecture,
            config=read_mapping("--config", config),
            task=task,
            task_config=read_mapping("--task-config", task_config),
            architectures=(*project.architectures, *(architectures or ())),
        )
    if as_json:
        console.print_json(found.to_plain())
    else:
        from scripts import console_inspection

        told = {
            "--architecture": architecture,
            "--config": config,
            "--task": task,
            "--task-config": task_config,
        }
        options = [word for option, value in told.items() if value for word in (option, value)]
        options += [word for module in architectures or () for word in ("--architectures", module)]
        console_inspection.print_inspection(found, publish_options=options)
    if not found.would_load:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: statehouse serve --deployment deployment.yaml")
def serve(
    deployment: DeploymentFile = DEPLOYMENT,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Write down every request, not only the problems.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a deployment until Ctrl-C, which drains and stops.

    Without a deployment file, one is made of the highest version of each name in ./model_store.
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
        )
        console.print_ready(supervisor.addresses, missing, lines)

    if not as_json:
        console.err.print(f"Statehouse {__version__} · {deployment}")
    serving.serve(
        deployment,
        report=console.print_step,
        say=console.print_server_line,
        on_ready=on_ready,
        log_requests=log_requests,
    )


@app.command(epilog="Example: statehouse status --json")
def status(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Show versions, workers, queues, defaults, latency and digests.

    FAILED counts answers of 5xx: the server's fault. Percentiles are of all answers since a version was
    loaded, from 20 answers on. Exit code 0: something serves, ready or not; 3: nothing does.
    """
    current = ControlClient(deployment).status()
    if as_json:
        console.print_json(current)
    else:
        console.print_status(current)
