"""Waiting until nothing is left of a version: in flight at the front, queued in TorchServe, or in a worker."""

from __future__ import annotations

import asyncio
import time

from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.supervisor.loaded_version import LoadedVersion
from statehouse.scripts.traffic.worker_metrics import MergedWorkerMetrics

POLL_SECONDS = 0.05


class Drain:
    """Waits for the requests of versions of one server."""

    def __init__(self, front: Front, torchserve: TorchServe, metrics: MergedWorkerMetrics) -> None:
        self._front = front
        self._torchserve = torchserve
        self._metrics = metrics

    async def __call__(self, loaded: LoadedVersion, *, explicit: bool, deadline_seconds: float) -> bool:
        """Wait until no request that named no version is left, with ``explicit`` also none that named this one.

        Returns whether that came true before the deadline; in what has ended nothing is left.
        """
        if not loaded.works:
            return True
        deadline = time.monotonic() + deadline_seconds
        while not await self._idle(loaded, explicit=explicit):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def _idle(self, loaded: LoadedVersion, *, explicit: bool) -> bool:
        if not self._torchserve.process.running:
            return True
        by_default = await self._front.in_flight(loaded.name, loaded.load_id, "default")
        by_version = await self._front.in_flight(loaded.name, loaded.load_id, "explicit")
        if by_default or (explicit and by_version):
            return False
        if by_version:
            return True  # the queue and the workers hold those: they cannot tell gRPC's apart
        # What the front does not see: gRPC.
        status = await self._torchserve.describe(loaded.registration)
        return not status.queued_requests and not self._metrics.rows_in_flight(loaded.metrics_folder)
