"""What the supervisor knows of one version that it was told to load, and of its lanes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from scripts.deployment import VersionSettings
from scripts.store import PublishedVersion
from scripts.torchserve import Lane, LaneStatus, WorkerStatus


class VersionState(StrEnum):
    """Where a version of the deployment stands."""

    LOADING = "LOADING"
    READY = "READY"
    DEGRADED = "DEGRADED"  # it has proved itself, and has fewer workers now than it should
    FAILED = "FAILED"
    STOPPED = "STOPPED"  # to make room for another


@dataclass
class LoadedVersion:
    """One version, in all its lanes."""

    name: str
    version: str
    settings: VersionSettings
    state: VersionState = VersionState.LOADING
    reason: str | None = None
    published: PublishedVersion | None = None
    statuses: dict[Lane, LaneStatus] = field(default_factory=dict)
    load_seconds: float | None = None
    generation: int = 0  # one version may be loaded again beside itself

    @property
    def works(self) -> bool:
        """Whether it has proved itself and was not stopped."""
        return self.state in (VersionState.READY, VersionState.DEGRADED)

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """Its lanes, from the smallest batch to the largest."""
        return tuple(
            Lane(
                self.name,
                self.version,
                batch_size=lane.batch_size,
                max_batch_delay_ms=lane.max_batch_delay_ms,
                up_to=lane.up_to,
                workers=self.settings.workers,
                generation=self.generation,
            )
            for lane in self.settings.lanes
        )

    @property
    def default_lane(self) -> Lane:
        """The lane that TorchServe gives what the front does not see, gRPC: it takes any number of requests."""
        return self.lanes[-1]

    @property
    def usable_lanes(self) -> tuple[Lane, ...]:
        """Those that have a worker now."""
        return tuple(
            lane for lane in self.lanes if lane in self.statuses and self.statuses[lane].ready_workers
        )

    @property
    def loading(self) -> str:
        """What the front counts by: this version as it was loaded this time."""
        return f"{self.version}-g{self.generation}"

    @property
    def workers(self) -> list[WorkerStatus]:
        """The workers of all its lanes."""
        return [worker for status in self.statuses.values() for worker in status.workers]

    @property
    def ready_workers(self) -> int:
        """How many workers have proved themselves."""
        return sum(status.ready_workers for status in self.statuses.values())

    @property
    def queued_requests(self) -> int:
        """How many requests wait in TorchServe."""
        return sum(status.queued_requests for status in self.statuses.values())

    @property
    def device(self) -> str:
        """Where its workers hold the module."""
        return "cuda" if any(worker.on_gpu for worker in self.workers) else "cpu"

    def metrics_folder(self, lane: Lane) -> str:
        """The folder of a lane's metrics, below the runtime folder's."""
        return f"{self.name}-{self.version}/{lane.torchserve_version}"

    def observe(self, lane: Lane, status: LaneStatus) -> None:
        """Take what TorchServe says of a lane's workers now."""
        self.statuses[lane] = status
        if self.works:
            enough = self.ready_workers >= self.settings.total_workers
            self.state = VersionState.READY if enough else VersionState.DEGRADED
