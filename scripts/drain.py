"""Waiting until nothing is left of a version: in flight at the front, queued in TorchServe, or in a worker."""

from __future__ import annotations

import asyncio
import time

from scripts.loaded_version import LoadedVersion
from scripts.supervisor import Supervisor

POLL_SECONDS = 0.05


async def drain(
    supervisor: Supervisor, loaded: LoadedVersion, *, explicit: bool, deadline_seconds: float
) -> bool:
    """Wait until no request that named no version is left, with ``explicit`` also none that named this one.

    Returns whether that came true before the deadline; in what has ended nothing is left.
    """
    if not loaded.works:
        return True
    deadline = time.monotonic() + deadline_seconds
    while not await _idle(supervisor, loaded, explicit=explicit):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def _idle(supervisor: Supervisor, loaded: LoadedVersion, *, explicit: bool) -> bool:
    if not supervisor.torchserve.process.running:
        return True
    by_default = await supervisor.front.in_flight(loaded.name, loaded.loading, "default")
    by_version = await supervisor.front.in_flight(loaded.name, loaded.loading, "explicit")
    if by_default or (explicit and by_version):
        return False
    if by_version:
        return True  # the queue and the workers hold those: they cannot tell gRPC's apart
    # What the front does not see: gRPC.
    for lane in loaded.lanes:
        status = await supervisor.torchserve.describe(lane)
        if status.queued_requests or supervisor.metrics.rows_in_flight(loaded.metrics_folder(lane)):
            return False
    return True
