"""Everything that `statehouse status` shows."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from scripts.library_version import changed_library
from scripts.loaded_version import LoadedVersion
from scripts.memory import memory_of
from scripts.supervisor import Supervisor
from scripts.torchserve import Lane, LaneStatus

Json = dict[str, Any]


async def status_of(supervisor: Supervisor) -> Json:
    """Return what serves now: addresses, process ids, and a row per version."""
    missing = await supervisor.what_is_missing()
    host, port = supervisor.addresses.grpc
    return {
        "ready": not missing,
        "missing": missing,
        "deployment": str(supervisor.deployment_file),
        "model_store": str(supervisor.store.address),
        "front": supervisor.addresses.url("front"),
        "certificate": str(supervisor.runtime.certificate) if supervisor.gate.has_certificate else None,
        "own_socket": str(supervisor.runtime.own_socket) if supervisor.gate.asks_for_keys else None,
        "reader": supervisor.addresses.url("reader"),
        "grpc": f"{host}:{port}",
        "log": str(supervisor.runtime.path / "servers.log"),
        "pids": {
            "front": supervisor.front.process.pid,
            "torchserve": supervisor.torchserve.process.pid,
            "fork_server": supervisor.torchserve.fork_server.pid,
        },
        "models": await _version_rows(supervisor),
    }


async def _version_rows(supervisor: Supervisor) -> list[Json]:
    versions = list(supervisor.versions.values())
    latencies = supervisor.metrics.latencies()
    pids = [[worker.pid for worker in loaded.workers] for loaded in versions]
    # Milliseconds for each worker: not in the event loop.
    memory_bytes = await asyncio.to_thread(lambda: [memory_of(each) for each in pids])
    rows = []
    for loaded, used_bytes in zip(versions, memory_bytes, strict=True):
        latency = latencies.get((loaded.name, loaded.version))
        row = _version_row(loaded) | {
            "default": supervisor.front.default_of(loaded.name) == loaded.version,
            "memory_bytes": used_bytes,
            "latency": asdict(latency) if latency else None,
        }
        rows.append(row)
    return rows


def _version_row(loaded: LoadedVersion) -> Json:
    manifest = loaded.published.manifest if loaded.published else None
    return {
        "name": loaded.name,
        "version": loaded.version,
        "state": loaded.state,
        "reason": loaded.reason,
        "digest": manifest.digest if manifest else None,
        "architecture": manifest.architecture if manifest else None,
        "library_changed": changed_library(manifest) if manifest else None,
        "task": manifest.task if manifest else None,
        "settings": loaded.settings.model_dump(mode="json", exclude_none=True),
        "workers": {
            "ready": loaded.ready_workers,
            "desired": loaded.settings.total_workers,
            "pids": [worker.pid for worker in loaded.workers],
        },
        "lanes": [_lane_row(lane, loaded.statuses.get(lane)) for lane in loaded.lanes],
        "queued_requests": loaded.queued_requests,
        "load_seconds": loaded.load_seconds,
    }


def _lane_row(lane: Lane, status: LaneStatus | None) -> Json:
    return {
        "batch_size": lane.batch_size,
        "max_batch_delay_ms": lane.max_batch_delay_ms,
        "up_to": lane.up_to,
        "workers": {
            "ready": status.ready_workers if status else 0,
            "desired": lane.workers,
            "pids": [worker.pid for worker in status.workers] if status else [],
        },
        "queued_requests": status.queued_requests if status else 0,
    }
