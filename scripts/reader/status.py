"""Everything that `statehouse status` shows."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from statehouse.scripts.machine import memory_of
from statehouse.scripts.store.library_version import changed_library
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, in_order
from statehouse.scripts.supervisor.parts import ServerParts

Json = dict[str, Any]


async def status_of(parts: ServerParts) -> Json:
    """Return what serves now: addresses, process ids, and a row per version."""
    missing = await parts.what_is_missing()
    host, port = parts.addresses.grpc
    return {
        "live": not parts.what_is_not_up(),
        "ready": not missing,
        "missing": missing,
        "deployment": str(parts.desired.path),
        "model_store": str(parts.store.address),
        "front": parts.addresses.url("front"),
        "certificate": str(parts.runtime.certificate) if parts.gate.has_certificate else None,
        "own_socket": str(parts.runtime.own_socket) if parts.gate.asks_for_keys else None,
        "reader": parts.addresses.url("reader"),
        "grpc": f"{host}:{port}",
        "log": str(parts.log.path),
        "pids": {
            "front": parts.front.process.pid,
            "torchserve": parts.torchserve.process.pid,
            "fork_server": parts.torchserve.fork_server.pid,
        },
        "change": parts.turn.running.to_plain() if parts.turn.running else None,
        "models": await _version_rows(parts),
    }


async def _version_rows(parts: ServerParts) -> list[Json]:
    versions = in_order(parts.fleet.versions)
    pids = [[worker.pid for worker in loaded.workers] for loaded in versions]
    # Milliseconds for each worker: not in the event loop.
    latencies = await asyncio.to_thread(parts.metrics.latencies)
    memory_bytes = await asyncio.to_thread(lambda: [memory_of(each) for each in pids])
    manifests = [loaded.published.manifest if loaded.published else None for loaded in versions]
    changed = [await parts.code_changed(each) if each else None for each in manifests]
    rows = []
    for loaded, used_bytes, code_changed in zip(versions, memory_bytes, changed, strict=True):
        latency = latencies.get((loaded.name, loaded.version))
        row = _version_row(loaded) | {
            "default": parts.front.default_of(loaded.name) == loaded.version,
            "memory_bytes": used_bytes,
            "code_changed": code_changed,
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
        "answers": loaded.answers,
        "reason": loaded.why_not_ready,
        "digest": manifest.digest if manifest else None,
        "architecture": manifest.architecture if manifest else None,
        "code": manifest.architecture_code.model_dump() if manifest and manifest.architecture_code else None,
        "row_proof": manifest.row_proof.model_dump() if manifest and manifest.row_proof else None,
        "library_changed": changed_library(manifest) if manifest else None,
        "task": manifest.task if manifest else None,
        "settings": loaded.settings.model_dump(mode="json", exclude_none=True),
        "workers": {
            "ready": loaded.ready_workers,
            "desired": loaded.settings.workers,
            "pids": [worker.pid for worker in loaded.workers],
        },
        "queued_requests": loaded.queued_requests,
        "load_seconds": loaded.load_seconds,
    }
