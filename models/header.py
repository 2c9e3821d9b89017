"""What a checkpoint says of itself, typed, with every problem reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from statehouse.models.architecture import get_architecture, validate_config
from statehouse.models.errors import (
    ArchitectureConfigError,
    ArchitectureError,
    CheckpointContentError,
    TaskConfigError,
    UnknownTaskError,
)
from statehouse.models.example import Example, StoredExample
from statehouse.models.foreign.forms import FORMAT_VERSION_KEY, Parts
from statehouse.models.foreign.held_labels import HeldLabels
from statehouse.models.foreign.inferred_config import infer_config
from statehouse.models.foreign.reading import AS_IT_IS, Reading
from statehouse.models.foreign.renaming import Renaming
from statehouse.models.foreign.weights import Form, Weights
from statehouse.models.plain import validate_plain
from statehouse.models.storage.files import Container
from statehouse.models.tasks.registry import Task, parse_task
from statehouse.models.tensors.state_dict import describe
from statehouse.models.tensors.tensor_info import TensorInfo

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CheckpointHeader:
    """Everything in a checkpoint but the bytes of its tensors.

    As read, `config` is as stored; once described (`load_checkpoint`, `describe_as`) it is the full dump of
    the architecture's own config. `stored_digest` is what `save_checkpoint` computed.
    """

    path: Path
    container: Container
    form: Form
    tensors: Mapping[str, TensorInfo]
    has_training_state: bool = False
    format_version: int | None = None
    architecture: str | None = None
    config: Mapping[str, Any] | None = None
    task: Task | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    stored_digest: str | None = None
    origin: str = ""  # what the file is, for people
    weights: Weights = "model"  # or their moving average
    notes: tuple[str, ...] = ()  # how it is read, where that is not plain, a line each
    renaming: Renaming = field(default_factory=Renaming)
    files: tuple[Path, ...] = ()  # all that hold it: one, or its shards and their index, which is `path`
    modules: Mapping[str, str] = field(
        default_factory=dict
    )  # of a pickled module: what each in it is, by name
    reading: Reading = AS_IT_IS  # what was asked of the reader
    labels: HeldLabels | None = None  # that a foreign file has of its classes; nothing takes them unasked

    @property
    def is_foreign(self) -> bool:
        """Whether something other than save_checkpoint wrote the file."""
        return self.form != "statehouse"


class StoredFields(BaseModel):
    """The plain data of a checkpoint, by the keys that people already write."""

    model_config = ConfigDict(extra="forbid", strict=True)

    architecture: str | None = None
    config: dict[str, JsonValue] | None = Field(default=None, alias="model_config")
    task: str | None = None
    task_config: dict[str, JsonValue] | None = None
    metadata: dict[str, JsonValue] = {}
    examples: list[StoredExample] = []
    digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


def read_fields(path: Path, container: Container, parts: Parts) -> tuple[CheckpointHeader, list[str]]:
    """Type the fields of a checkpoint; what is wrong is left out of the header and listed as problems."""
    header = CheckpointHeader(
        path,
        container,
        parts.form,
        describe(parts.state_dict),
        has_training_state=parts.training is not None,
        origin=parts.origin,
        weights=parts.weights,
        notes=parts.notes,
        renaming=parts.renaming,
    )
    stored, problems = validate_plain(StoredFields, parts.fields)
    if stored is None:
        return header, problems
    version, version_problems = _format_version(stored.metadata)
    task, task_problems = _task(stored)
    examples, example_problems = _examples(stored)
    described = replace(
        header,
        format_version=version,
        architecture=stored.architecture,
        config=stored.config,
        task=task,
        metadata=stored.metadata,
        examples=examples,
        stored_digest=stored.digest,
    )
    return described, [*version_problems, *task_problems, *example_problems]


def _format_version(metadata: Mapping[str, Any]) -> tuple[int | None, list[str]]:
    version = metadata.get(FORMAT_VERSION_KEY)
    if version in (None, FORMAT_VERSION):
        return version, []
    return None, [
        f"metadata.{FORMAT_VERSION_KEY}: got {version!r}; this Statehouse reads {FORMAT_VERSION}: "
        "use the one that wrote the file, or a newer one"
    ]


def _task(stored: StoredFields) -> tuple[Task | None, list[str]]:
    if stored.task is None:
        return None, ["task_config: is there without a task"] if stored.task_config else []
    try:
        return parse_task(stored.task, stored.task_config or {}), []
    except UnknownTaskError as error:
        return None, [f"task: {error}"]
    except TaskConfigError as error:
        return None, [f"task_config.{problem}" for problem in error.problems]


def _examples(stored: StoredFields) -> tuple[tuple[Example, ...], list[str]]:
    examples: list[Example] = []
    problems: list[str] = []
    for index, plain in enumerate(stored.examples):
        try:
            examples.append(plain.decode())
        except ValueError as error:
            problems.append(f"examples[{index}].body_base64: is no base64 ({error})")
    return tuple(examples), problems


def describe_as(
    header: CheckpointHeader,
    *,
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
) -> CheckpointHeader:
    """Return the header completed with what a foreign file leaves out, its config checked and in full.

    What is given replaces a foreign file's config and any file's task; it may not contradict the architecture
    and config of a file that describes itself.

    Raises:
        CheckpointContentError: unknown architecture, wrong config, a contradiction: all at once.
    """
    described, problems = complete(header, architecture=architecture, config=config, task=task)
    refuse_problems(header.path, problems)
    return described


def refuse_problems(path: Path, problems: list[str]) -> None:
    """Raise CheckpointContentError with every problem, if there is one."""
    if problems:
        raise CheckpointContentError(f"{path}: what this checkpoint says is wrong or incomplete:", problems)


def complete(
    header: CheckpointHeader,
    *,
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
) -> tuple[CheckpointHeader, list[str]]:
    """Do as `describe_as` does, and return the problems instead of raising them."""
    name = architecture or header.architecture
    problems = _contradiction("architecture", header.architecture, name)
    described = replace(header, architecture=name, task=task or header.task)
    if name is None:
        return described, ["config: was given without an architecture; name it too"] if config else []
    if config is None and header.form == "lightning":
        header, described = _own_fields(header, name), _own_fields(described, name)
    asked = header.config if config is None else config
    if header.is_foreign:
        inferred = infer_config(name, asked or {}, header.tensors)
        if inferred.problems:
            return described, [*problems, *inferred.problems]
        asked, described = inferred.config, replace(described, notes=(*described.notes, *inferred.notes))
    full, config_problems = _full_config(name, asked)
    if full is not None and config is not None and not header.is_foreign:
        stored, _ = _full_config(name, header.config)
        problems += _contradiction("config", stored, full)
    return replace(described, config=full), problems + config_problems


def _own_fields(header: CheckpointHeader, name: str) -> CheckpointHeader:
    """Leave out those of a Lightning module's hyper-parameters that are none of its network: rates, paths."""
    try:
        known = get_architecture(name).config_class.model_fields
    except ArchitectureError:  # which is told when the config is checked
        return header
    others = [field for field in header.config or {} if field not in known]
    if not others:
        return header
    note = f"hyper_parameters that the architecture has none of: {', '.join(others)}"
    own = {field: value for field, value in (header.config or {}).items() if field in known}
    return replace(header, config=own, notes=(*header.notes, note))


def _full_config(name: str, config: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, list[str]]:
    try:
        return validate_config(name, config or {}).model_dump(mode="json"), []
    except ArchitectureConfigError as error:
        return None, [f"model_config.{problem}" for problem in error.problems]
    except ArchitectureError as error:  # unknown, or its library is not here
        return None, [f"architecture: {error}"]


def _contradiction(what: str, stored: object, given: object) -> list[str]:
    if stored is None or stored == given:
        return []
    return [f"{what}: the file says {stored!r}, and {given!r} was given; leave it out"]
