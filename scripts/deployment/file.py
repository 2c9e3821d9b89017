"""``deployment.yaml``, the desired state: which versions are loaded, how, and the default of each name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from statehouse.handlers.worker.settings import Optimization
from statehouse.scripts.deployment.lanes import what_lanes_became, without_lanes
from statehouse.scripts.deployment.listen import Access, Listen, exposed
from statehouse.scripts.deployment.section import Section
from statehouse.scripts.deployment.yaml_text import Location, ReadText, read_text
from statehouse.scripts.durable import write_durably
from statehouse.scripts.errors import DeploymentContentError, DeploymentNotFoundError, DeploymentWriteError
from statehouse.scripts.store import NamedVersion
from statehouse.scripts.store.address import check_address, is_remote
from statehouse.scripts.store.names import ModelName, ModelVersion, version_order
from statehouse.scripts.validation import dotted, problems_of

DEPLOYMENT_FILE = "deployment.yaml"
DEPLOYMENT_VARIABLE = "STATEHOUSE_DEPLOYMENT"  # names another one
HEADER = (
    "# The desired state. `statehouse` writes this file: comments of yours do not survive its next change.\n"
)

StoreAddress = Annotated[str, Field(min_length=1), AfterValidator(check_address)]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]


class Limits(Section):
    """Bounds on one request, and on what this machine keeps."""

    max_request_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=2**31 - 1)
    request_timeout_seconds: int = Field(default=60, ge=1, le=3600)
    keep_free_bytes: int = Field(default=256 * 1024 * 1024, ge=0)  # memory that no new version may take
    max_cache_bytes: int = Field(default=20 * 1024**3, ge=0)  # of fetched versions that nobody uses
    slots: int = Field(default=4096, ge=2, le=65_536)  # that the front declares; a loaded version takes two


class VersionSettings(Section):
    """How one version is run on this machine."""

    workers: int = Field(default=1, ge=1, le=256)
    threads: int = Field(default=1, ge=1, le=256)  # of each worker
    # A worker takes what is waiting, up to so many requests, as one batch; no request waits for another to come.
    batch_size: int = Field(default=64, ge=1, le=1024)
    optimizations: tuple[Optimization, ...] = ()

    @property
    def workers_told(self) -> str:
        """How many workers there are, as people read it: ``2 workers``."""
        return f"{self.workers} worker{'s' if self.workers > 1 else ''}"

    @property
    def threads_told(self) -> str:
        """How many threads each has, as people read it: ``1 thread``."""
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}"

    @model_validator(mode="before")
    @classmethod
    def _as_written_before(cls, data: Any) -> Any:  # noqa: ANN401 - before validation it is anything
        return without_lanes(data) if isinstance(data, dict) else data


class ModelDeployment(Section):
    """The loaded versions of one name, and which of them answers when none is named."""

    default: ModelVersion
    previous: ModelVersion | None = None  # where `statehouse rollback` goes
    versions: dict[ModelVersion, VersionSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _default_is_loaded(self) -> Self:
        if self.default not in self.versions:
            raise ValueError(f"default {self.default!r} is not among versions {sorted(self.versions)}")
        return self


class Deployment(Section):
    """Everything that the supervisor makes true."""

    model_store: StoreAddress = "model_store"
    architectures: list[ModuleName] = Field(default_factory=list)
    listen: Listen = Listen()
    access: Access = Access()
    limits: Limits = Limits()
    models: dict[ModelName, ModelDeployment] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nothing_is_exposed(self) -> Self:
        problems = list(exposed(self.listen, self.access))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def store_address(self, deployment_file: Path) -> str:
        """Return where the model store is; a relative folder is seen from the deployment file."""
        if is_remote(self.model_store):
            return self.model_store
        return str((deployment_file.parent / self.model_store).resolve())


def read_deployment(path: Path, *, say: Callable[[str], None] | None = None) -> Deployment:
    """Read the desired state; ``say`` gets the line that tells of settings that an earlier release wrote.

    Raises DeploymentNotFoundError, or DeploymentContentError with every problem and its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DeploymentNotFoundError(
            f"There is no {path}: `statehouse serve` makes one from the model store, "
            "or give another with --deployment."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentContentError(f"{path} cannot be read:", [str(error)]) from error
    read = read_text(text)
    if read.problems:
        raise DeploymentContentError(f"{path} is not a deployment:", read.problems)
    try:
        deployment = Deployment.model_validate(read.data)
    except ValidationError as error:
        raise DeploymentContentError(f"{path} is not a deployment:", _with_lines(error, read)) from error
    told = what_lanes_became(read.data, _became(deployment))
    if say is not None and told:
        say(f"{path} {told}")
    return deployment


def _became(deployment: Deployment) -> Iterator[tuple[str, str, str]]:
    for name, model in deployment.models.items():
        for version, settings in model.versions.items():
            yield name, version, f"workers {settings.workers}, batch_size {settings.batch_size}"


def deployment_content(deployment: Deployment) -> bytes:
    """Return the file that says this desired state."""
    text = yaml.safe_dump(
        deployment.model_dump(mode="json", exclude_none=True),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
    )
    return (HEADER + text).encode()


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Write the desired state, wholly or not at all; DeploymentWriteError when it cannot be written."""
    try:
        write_durably(path, deployment_content(deployment))
    except OSError as error:
        raise not_written(path, error) from error


class DeploymentFile:
    """The file of a deployment that is served."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def content(self) -> bytes | None:
        """Return its bytes; None where there is no file."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, deployment: Deployment) -> None:
        """Write the desired state; raises as `write_deployment` does."""
        write_deployment(self.path, deployment)


def rejected_file(path: Path) -> Path:
    """Return where an edit of the deployment file ``path`` is kept until all of it is done."""
    return path.with_suffix(".rejected.yaml")


def not_written(path: Path, error: OSError) -> DeploymentWriteError:
    """Return what to raise when a file of the deployment cannot be written."""
    return DeploymentWriteError(
        f"{path} cannot be written: {error.strerror or error}. It is as it was. Make room, or let this user "
        "write in that folder, and ask again."
    )


def deployment_from_store(
    versions: Iterable[NamedVersion],
    *,
    model_store: str = "model_store",
    settings_of: Callable[[NamedVersion, int], VersionSettings] = lambda version, count: VersionSettings(),
) -> Deployment:
    """Return the deployment that loads the highest version of each name and makes it the default.

    ``model_store`` is written into it as given; ``settings_of`` says the settings of one version of so many.
    """
    ascending = sorted(versions, key=lambda found: version_order(found.version))
    highest = {found.name: found for found in ascending}
    models = {
        name: ModelDeployment(
            default=found.version, versions={found.version: settings_of(found, len(highest))}
        )
        for name, found in sorted(highest.items())
    }
    return Deployment(model_store=model_store, models=models)


def _with_lines(error: ValidationError, read: ReadText) -> list[str]:
    def place(location: Location) -> str:
        line = read.line_of(location)
        words = dotted(location) or "the file"
        return f"line {line}, {words}" if line else words

    return problems_of(error, place)
