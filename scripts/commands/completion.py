"""What the shell completes: names and versions as the store's folder and the deployment file have them.

Never slow and never an error: nothing is asked of a server, no manifest is read, torch is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from statehouse.scripts.deployment.file import DEPLOYMENT_VARIABLE

DEFAULT_DEPLOYMENT = "deployment.yaml"
_CHECKPOINT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")

LIBRARIES = ("torchvision", "timm", "transformers")  # of statehouse.models.libraries, which imports torch

Complete = Callable[[typer.Context, str], list[str]]


def _completing(candidates: Callable[[typer.Context, str], Iterable[str]]) -> Complete:
    """Keep what begins with what is typed; whatever goes wrong, complete nothing."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return sorted({text for text in candidates(ctx, incomplete) if text.startswith(incomplete)})
        except Exception:  # noqa: BLE001 - a traceback in the middle of somebody's command line helps nobody
            return []

    return complete


def _published(ctx: typer.Context) -> list[tuple[str, str]]:
    from statehouse.scripts.deployment.project import Project
    from statehouse.scripts.store.names import split_folder_name

    folder = Project.of_deployment(_deployment_file(ctx)).store.folder
    named = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return [split_folder_name(name) for name in named]


def _served(ctx: typer.Context) -> list[tuple[str, str]]:
    from statehouse.scripts.deployment.file import read_deployment

    models = read_deployment(_deployment_file(ctx)).models
    return [(name, version) for name, model in models.items() for version in model.versions]


def _deployment_file(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("deployment") or os.environ.get(DEPLOYMENT_VARIABLE, DEFAULT_DEPLOYMENT))


def _architectures(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    from statehouse.models.architecture_import import built_in_names

    # Of libraries the names alone: to import them takes seconds.
    return [*built_in_names(), *(f"{library}:" for library in LIBRARIES)]


def _tasks(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    from statehouse.models.tasks.registry import task_names

    return task_names()


def _names(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    return [name for name, _ in _published(ctx)]


def _versions(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    return [version for name, version in _published(ctx) if name == ctx.params.get("name")]


def _targets(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    served = _served(ctx)
    if "/" in incomplete:
        return [f"{name}/{version}" for name, version in served]
    return [name for name, _ in served]


def _checkpoints_and_versions(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    start = incomplete.removesuffix(typed.name) if not incomplete.endswith("/") else incomplete
    entries = list(folder.iterdir()) if folder.is_dir() else []
    files = [f"{start}{entry.name}" for entry in entries if entry.suffix in _CHECKPOINT_SUFFIXES]
    folders = [f"{start}{entry.name}/" for entry in entries if entry.is_dir()]
    return [*files, *folders, *(f"{name}-{version}" for name, version in _published(ctx))]


architectures = _completing(_architectures)
tasks = _completing(_tasks)
names = _completing(_names)
versions = _completing(_versions)
targets = _completing(_targets)
checkpoints_and_versions = _completing(_checkpoints_and_versions)
