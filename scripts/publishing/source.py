"""A checkpoint on its way into the store: read, completed by what the command line says, put to the proof.

Imports torch: import it late.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from statehouse.handlers.base import CheckpointHandler
from statehouse.models.architecture import WeightsFile, get_architecture, validate_config
from statehouse.models.building import build_without_values, non_finite_parameters
from statehouse.models.checkpoint import Checkpoint, CheckpointHeader, examine_checkpoint
from statehouse.models.errors import (
    ArchitectureError,
    CheckpointContentError,
    ProblemsError,
    StateDictError,
    StatehouseError,
    TaskConfigError,
    UnknownTaskError,
)
from statehouse.models.foreign.hugging_face import is_hugging_face_folder, read_hugging_face_folder
from statehouse.models.foreign.inferred_config import INFERRED
from statehouse.models.foreign.reading import AS_IT_IS, Reading
from statehouse.models.foreign.timm_folder import read_timm_folder
from statehouse.models.tasks.registry import parse_task, task_names
from statehouse.models.tensors.state_dict import fit
from statehouse.scripts.publishing.which_architecture import which_architecture
from statehouse.scripts.store import sha256_of
from statehouse.scripts.store.manifest import TASK_CONFIG_FROM

Handler = CheckpointHandler[Any]
Config = Mapping[str, Any]

GIVE_CONFIG = " (give --config '{…}')"
GIVE_TASK_CONFIG = " (give --task-config '{…}')"


@dataclass(frozen=True)
class Description:
    """What is said of a checkpoint beside the file: all that a foreign one leaves out."""

    architecture: str | None = None
    config: Config | None = None
    task: str | None = None
    task_config: Config | None = None
    reading: Reading = AS_IT_IS
    pretrained: Config | None = None  # what a folder of timm's says of its weights
    notes: tuple[str, ...] = ()  # how a folder is read
    accept_renames: bool = False  # rename as the report of what does not fit proposes


@dataclass(frozen=True)
class Identity:
    """What a version is called, and the digest of what it computes."""

    name: str
    version: str
    digest: str


def read_source(path: Path, description: Description) -> Checkpoint:
    """Return the checkpoint at ``path`` with architecture, config and task known and valid.

    Raises CheckpointError; a CheckpointContentError lists everything that is wrong or missing.
    """
    checkpoint, problems = examine_source(path, description)
    if problems:
        raise CheckpointContentError(
            f"{path}: what is known of this checkpoint is wrong or incomplete:", problems
        )
    return checkpoint


def examine_source(path: Path, description: Description) -> tuple[Checkpoint, list[str]]:
    """Do as ``read_source`` does, and return what is wrong or missing instead of raising it."""
    path, description = _unfold(path, description)
    checkpoint, found = _examine_adapted(path, description)
    if description.accept_renames and not found:
        checkpoint, found = _examine_renamed(path, description, checkpoint)
    checkpoint = _noted(checkpoint, description.notes)
    problems = [_with_config_hint(problem, description) for problem in found]
    if checkpoint.header.architecture is None and not _is_told("architecture", problems):
        problems[:0] = which_architecture(path, checkpoint.header.tensors, description.task)
    header, task_problems = _with_task(checkpoint.header, description)
    if not _is_told("task", found):
        problems += task_problems
    return replace(checkpoint, header=header), problems


def _unfold(path: Path, description: Description) -> tuple[Path, Description]:
    """Return a folder of timm's, or the weights' file of Hugging Face's, and what it says; anything else as it is."""
    if (description.architecture or "timm:").startswith("timm:") and (timm := read_timm_folder(path)):
        return path, replace(
            description,
            architecture=description.architecture or timm.architecture,
            config=description.config or timm.config,
            pretrained=timm.pretrained,
        )
    if not (description.architecture or "transformers:").startswith("transformers:"):
        return path, description
    if not is_hugging_face_folder(path):
        return path, description
    folder = read_hugging_face_folder(path, description.task, description.task_config)
    return folder.weights, replace(
        description,
        architecture=description.architecture or folder.architecture,
        config=description.config or folder.config,
        task_config={**folder.task_config, **(description.task_config or {})},
        notes=folder.notes,
    )


def _examine_adapted(path: Path, description: Description) -> tuple[Checkpoint, list[str]]:
    """Read the file; where a library reads its own files otherwise than by name, once more in its way."""
    checkpoint, problems = _examine(path, description, as_declared=False)
    header = checkpoint.header
    if problems or header.architecture is None or header.config is None:
        return checkpoint, problems
    if not header.is_foreign:
        return _with_unsaid(checkpoint, header), problems
    try:
        adapted = get_architecture(header.architecture).adapt(
            validate_config(header.architecture, header.config), header.tensors, _file_of(header)
        )
    except ArchitectureError as error:  # it cannot be built at all
        return checkpoint, reasons(error)
    if not adapted.changes and not adapted.rules:
        return _with_unsaid(checkpoint.as_declared(), header), problems
    reading = replace(description.reading, rename=(*description.reading.rename, *adapted.rules))
    config = {**header.config, **adapted.changes}
    checkpoint, problems = _examine(path, replace(description, config=config, reading=reading))
    inferred = [note for note in header.notes if note.startswith(INFERRED)]  # told once: it is given now
    return _noted(checkpoint, [*inferred, *adapted.notes]), problems


def _examine_renamed(
    path: Path, description: Description, checkpoint: Checkpoint
) -> tuple[Checkpoint, list[str]]:
    """Read the file once more, with the rules that the report of what does not fit proposes."""
    header = checkpoint.header
    if header.architecture is None or header.config is None:
        return checkpoint, []
    try:
        module = build_without_values(header.architecture, header.config)
        rules = fit(module, checkpoint.state_dict)[1].rules
    except ArchitectureError:  # is told when it is built
        return checkpoint, []
    if not rules:
        return checkpoint, []
    reading = replace(description.reading, rename=(*description.reading.rename, *rules))
    renamed, problems = _examine_adapted(path, replace(description, reading=reading))
    return _noted(renamed, [f"accepted: --rename {shlex.quote(rule)}" for rule in rules]), problems


def _with_unsaid(checkpoint: Checkpoint, read: CheckpointHeader) -> Checkpoint:
    """Note what neither the file, as it was ``read``, nor the description says of how the module computes."""
    assert read.architecture is not None and read.config is not None  # noqa: S101, PT018 - it was examined
    architecture = get_architecture(read.architecture)
    return _noted(
        checkpoint, architecture.unsaid(validate_config(read.architecture, read.config), read.tensors)
    )


def _noted(checkpoint: Checkpoint, notes: Sequence[str]) -> Checkpoint:
    header = checkpoint.header
    return replace(checkpoint, header=replace(header, notes=(*header.notes, *notes)))


def _file_of(header: CheckpointHeader, said: Config | None = None) -> WeightsFile:
    return WeightsFile(lambda: sha256_of(header.path), said)


def _examine(
    path: Path, description: Description, *, as_declared: bool = True
) -> tuple[Checkpoint, list[str]]:
    return examine_checkpoint(
        path,
        description.reading,
        architecture=description.architecture,
        config=description.config,
        as_declared=as_declared,
    )


def prove(checkpoint: Checkpoint, identity: Identity) -> tuple[Handler | None, list[str]]:
    """Build module and handler of a checkpoint; return the handler, or None and every reason why not."""
    try:
        module = checkpoint.build()
    except StatehouseError as error:
        return None, reasons(error)
    problems = [f"{name}: holds NaN or an infinity" for name in non_finite_parameters(module)]
    try:
        handler = CheckpointHandler.from_checkpoint(checkpoint, **asdict(identity))
    except StatehouseError as error:
        return None, problems + reasons(error)
    return (None if problems else handler), problems


def reasons(error: StatehouseError) -> list[str]:
    """Return an error's reasons, one per line of a report."""
    if isinstance(error, ProblemsError):
        return error.problems
    if isinstance(error, StateDictError):
        return error.report.lines()
    return [line.strip() for line in str(error).split("\n")]


def _is_told(about: str, problems: Sequence[str]) -> bool:
    return any(problem.startswith(about) for problem in problems)


def _with_config_hint(problem: str, description: Description) -> str:
    """Say how to give what a foreign file's config lacks."""
    lacks = problem.startswith("model_config.") and problem.endswith(": is missing")
    return problem + GIVE_CONFIG if lacks and not description.config else problem


def _with_task(header: CheckpointHeader, description: Description) -> tuple[CheckpointHeader, list[str]]:
    name = description.task or (header.task.task if header.task else None)
    if name is None:
        known = ", ".join(task_names())
        return header, [f"task: the file names none; say --task, one of {known}"]
    if header.task is not None and header.task.task == name and description.task_config is None:
        return header, []
    header, config = complete_task_config(
        replace(header, task=None), name, description.task_config or {}, description.pretrained
    )
    try:
        return replace(header, task=parse_task(name, config)), []
    except TaskConfigError as error:
        return header, [
            f"task.{problem}{_task_hint(problem, header, description)}" for problem in error.problems
        ]
    except UnknownTaskError as error:
        return header, [f"task: {error}"]


def _task_hint(problem: str, header: CheckpointHeader, description: Description) -> str:
    """Say how to give what a task lacks; labels that the file has are offered."""
    if header.labels is not None and problem == "labels: is missing":
        return header.labels.hint(description.task_config or {})
    return "" if description.task_config else GIVE_TASK_CONFIG


def complete_task_config(
    header: CheckpointHeader, task: str, given: Mapping[str, Any], said: Mapping[str, Any] | None = None
) -> tuple[CheckpointHeader, dict[str, Any]]:
    """Return the task's config with what the architecture's library adds to ``given``, which goes first.

    ``said`` is what stands beside the weights, where something does.
    Where it adds something, the header's metadata says whose it is.
    """
    if header.architecture is None or header.config is None:
        return header, dict(given)
    try:
        config = validate_config(header.architecture, header.config)
        architecture = get_architecture(header.architecture)
    except ArchitectureError:  # is told elsewhere
        return header, dict(given)
    known = architecture.known_task(task, config, _file_of(header, said))
    if known is None or not known.fields.keys() - given.keys():
        return header, dict(given)
    metadata = {**header.metadata, TASK_CONFIG_FROM: known.source}
    return replace(header, metadata=metadata), {**known.fields, **given}
