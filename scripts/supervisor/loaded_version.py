"""What the supervisor knows of one version that it was told to load, and of its workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import StoreAwayError, StoreError
from statehouse.scripts.servers.torchserve import Registration, WorkersStatus, WorkerStatus
from statehouse.scripts.store import PublishedVersion
from statehouse.scripts.store.names import version_order


class VersionState(StrEnum):
    """Where a version of the deployment stands."""

    LOADING = "LOADING"
    READY = "READY"
    DEGRADED = "DEGRADED"  # it has proved itself, and has fewer workers now than it should
    FAILED = "FAILED"
    STOPPED = "STOPPED"  # to make room for another


@dataclass
class LoadedVersion:
    """One version, as it was loaded one time.

    `slot` is where the front has its requests; the paths of its workers' doors begin with `door_prefix`, and `doors`
    are the process ids of those whose door is open.
    """

    name: str
    version: str
    settings: VersionSettings
    state: VersionState = VersionState.LOADING
    reason: str | None = None
    published: PublishedVersion | None = None
    status: WorkersStatus = field(default_factory=WorkersStatus)
    load_seconds: float | None = None
    generation: int = 0  # one version may be loaded again beside itself
    last_words: str | None = None  # of its workers, when all have ended
    slot: int | None = None
    door_prefix: Path | None = None
    doors: set[int] = field(default_factory=set)
    waiting_requests: int = 0
    most_waiting: int | None = None  # before others are refused; None: it has answered too few to say

    @property
    def works(self) -> bool:
        """Whether it has proved itself and was not stopped."""
        return self.state in (VersionState.READY, VersionState.DEGRADED)

    @cached_property
    def registration(self) -> Registration:
        """What TorchServe is told of it."""
        settings = self.settings
        return Registration(
            self.name,
            self.version,
            batch_size=settings.batch_size,
            worker_count=settings.workers,
            generation=self.generation,
        )

    @property
    def load_id(self) -> str:
        """What the front counts by: this version as it was loaded this time."""
        return f"{self.version}-g{self.generation}"

    @property
    def workers(self) -> list[WorkerStatus]:
        """Its workers, as TorchServe knows them."""
        return list(self.status.workers)

    @property
    def ready_workers(self) -> int:
        """How many workers have proved themselves, and answer."""
        return len(self.doors)

    @property
    def answers(self) -> bool:
        """Whether a worker of it takes requests now."""
        return self.works and self.ready_workers > 0

    @property
    def why_not_ready(self) -> str | None:
        """What it lacks and why, as well as that is known; None when it has all its workers."""
        if self.state is VersionState.READY:
            return None
        if self.state is VersionState.FAILED:
            return self.reason or "failed"
        told = f"{self.ready_workers} of {self.settings.workers} workers are ready"
        if self.state is not VersionState.DEGRADED:
            return told
        ended = None if self.ready_workers else f"they ended{self._last_words} and are started again"
        return ": ".join(filter(None, (told, self.reason or ended)))

    @property
    def _last_words(self) -> str:
        if self.last_words is None:
            return " without a word (killed, or out of memory?)"
        return f" (the last error in their log: {self.last_words})"

    @property
    def queued_requests(self) -> int:
        """How many requests wait for a worker: in its slot, and in TorchServe, gRPC's."""
        return self.waiting_requests + self.status.queued_requests

    @property
    def device(self) -> str:
        """Where its workers hold the module."""
        return "cuda" if any(worker.on_gpu for worker in self.workers) else "cpu"

    @property
    def metrics_folder(self) -> str:
        """The folder of its workers' metrics, below the runtime folder's."""
        return f"{self.name}-{self.version}/{self.load_id}"

    def observe(self, status: WorkersStatus) -> None:
        """Take what TorchServe says of its workers now."""
        self.status = status
        self.count_doors()

    def count_doors(self) -> None:
        """See whether it has as many workers as it should."""
        if self.works:
            enough = self.ready_workers >= self.settings.workers
            self.state = VersionState.READY if enough else VersionState.DEGRADED
            if enough:  # whatever was wrong is so no more
                self.reason = None


def why_for_clients(error: Exception) -> str:
    """Return why a version could not be loaded, as clients are told: what it was, and nothing of this machine."""
    if isinstance(error, StoreAwayError):
        told = "the model store does not answer"
    elif isinstance(error, StoreError):
        told = "its files are not as they were published, or cannot be read"
    else:
        told = "its workers cannot be started"
    return f"{told}. `statehouse status` says more to who runs this server"


Versions = Mapping[tuple[str, str], LoadedVersion]  # by name and version


def in_order(versions: Versions) -> list[LoadedVersion]:
    """Return versions by name and as people count, whatever came first."""
    return sorted(versions.values(), key=lambda each: (each.name, version_order(each.version)))
