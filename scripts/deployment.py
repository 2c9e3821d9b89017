"""``deployment.yaml``, the desired state: which versions are loaded, how, and the default of each name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from handlers.settings import Optimization
from scripts.deployment_section import Section
from scripts.deployment_text import Location, ReadText, read_text
from scripts.durable import write_durably
from scripts.errors import DeploymentContentError, DeploymentNotFoundError, DeploymentWriteError
from scripts.listening import Access, Listen, exposed
from scripts.names import ModelName, ModelVersion, version_order
from scripts.store import NamedVersion
from scripts.store.address import check_address, is_remote
from scripts.validation import dotted, problems_of

DEPLOYMENT_FILE = "deployment.yaml"
MAX_LANES = 4
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


class LaneSettings(Section):
    """One lane of a version: workers of its own, that take batches of one size."""

    batch_size: int = Field(default=8, ge=1, le=1024)
    # How long a batch waits to fill; 0: not at all, and then no batch has more than two requests.
    max_batch_delay_ms: int = Field(default=1, ge=0, le=60_000)
    up_to: int | None = Field(default=None, ge=1)  # requests in flight; the last lane has no bound

    def told(self) -> str:
        """Return it as people read it: ``4 (1 ms, up to 16)``."""
        bound = f", up to {self.up_to}" if self.up_to else ""
        return f"{self.batch_size} ({self.max_batch_delay_ms} ms{bound})"


ONE_LANE = (LaneSettings(),)
# Measured (docs/performance.md): a batch that does not fill waits, one that is too small costs throughput.
DEFAULT_LANES = (
    LaneSettings(batch_size=1, up_to=3),
    LaneSettings(batch_size=4, up_to=7),
    LaneSettings(batch_size=8, up_to=20),
    LaneSettings(batch_size=32),
)


class VersionSettings(Section):
    """How one version is run on this machine."""

    workers: int = Field(default=1, ge=1, le=256)  # of each lane
    threads: int = Field(default=1, ge=1, le=256)  # of each worker
    lanes: tuple[LaneSettings, ...] = DEFAULT_LANES
    optimizations: tuple[Optimization, ...] = ()
    fast_io: bool = True  # off: workers read and write as TorchServe ships them

    @property
    def total_workers(self) -> int:
        """How many processes that makes."""
        return self.workers * len(self.lanes)

    @model_validator(mode="after")
    def _lanes_ascend(self) -> Self:
        if not 1 <= len(self.lanes) <= MAX_LANES:
            raise ValueError(f"lanes: 1 to {MAX_LANES} are possible, not {len(self.lanes)}")
        sizes = [lane.batch_size for lane in self.lanes]
        bounds = [lane.up_to for lane in self.lanes[:-1]]
        if sorted(set(sizes)) != sizes:
            raise ValueError(f"lanes: batch sizes must ascend; they are {sizes}")
        if None in bounds or sorted(set(bounds), key=lambda bound: bound or 0) != bounds:
            raise ValueError(f"lanes: all but the last need up_to, and it must ascend; they are {bounds}")
        if self.lanes[-1].up_to is not None:
            raise ValueError("lanes: the last takes any number of requests: give it no up_to")
        return self


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


def read_deployment(path: Path) -> Deployment:
    """Read the desired state.

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
        return Deployment.model_validate(read.data)
    except ValidationError as error:
        raise DeploymentContentError(f"{path} is not a deployment:", _with_lines(error, read)) from error


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
