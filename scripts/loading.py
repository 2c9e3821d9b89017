"""One version into TorchServe: check its files, register its lanes, wait until it has proved itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from handlers.settings import FileIdentity, WorkerSettings
from scripts.errors import ServerError, TorchServeError, VersionStartError
from scripts.fetching import fetch
from scripts.loaded_version import LoadedVersion, VersionState
from scripts.runtime import RuntimeFolder
from scripts.server_log import ServerLog
from scripts.store import ModelStore, PublishedVersion
from scripts.torchserve import LOAD_TIMEOUT_SECONDS, Lane, TorchServe

POLL_SECONDS = 0.1
LAST_WORDS_SECONDS = 0.5


class VersionLoader:
    """Loads and unloads versions in a running TorchServe."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        torchserve: TorchServe,
        log: ServerLog,
        *,
        store: ModelStore,
        architectures: Sequence[str],
        response_timeout_seconds: int,
        say: Callable[[str], None],
    ) -> None:
        self._runtime = runtime
        self._torchserve = torchserve
        self._log = log
        self._store = store
        self._architectures = list(architectures)
        self._response_timeout_seconds = response_timeout_seconds
        self._say = say

    async def load(self, loaded: LoadedVersion) -> None:
        """Bring a version up; on return all workers of all its lanes have answered its golden examples.

        Raises StoreError when its files cannot be fetched or are not as published, VersionStartError with the worker's
        own reason when it cannot start. In both cases nothing of it is left in TorchServe.
        """
        began = time.monotonic()
        loaded.published = await self._fetch(loaded)
        # Reading and hashing the files takes seconds per gigabyte: never in the event loop.
        verified = await asyncio.to_thread(self._store.verify, loaded.published)
        identities = {name: FileIdentity(**identity._asdict()) for name, identity in verified.items()}
        try:
            # TorchServe takes the first of a name for its default, and lets that go only as the last.
            for lane in reversed(loaded.lanes):
                self._prepare(loaded, lane, identities)
                await self._torchserve.register(lane)
            await self._wait_until_proved(loaded)
        except BaseException as error:
            await self._take_back(loaded, error)
            raise
        loaded.load_seconds = time.monotonic() - began
        loaded.state = VersionState.READY

    async def _fetch(self, loaded: LoadedVersion) -> PublishedVersion:
        what = f"{loaded.name} {loaded.version}"
        if not self._store.fetches:
            return self._store.get(loaded.name, loaded.version)
        here = self._store.has(loaded.name, loaded.version)
        published = await fetch(self._store, loaded.name, loaded.version, self._say)
        where = f"is in the cache; {self._store.address} was not asked"
        self._say(f"{what} {where if here else f'fetched from {self._store.address}'}")
        return published

    def _prepare(self, loaded: LoadedVersion, lane: Lane, identities: dict[str, FileIdentity]) -> None:
        published = loaded.published
        if published is None:
            raise ServerError(f"{loaded.name} {loaded.version} has not been looked up in the model store.")
        handler = f"handlers.{published.manifest.task}"
        self._log.forget(lane.name, lane.torchserve_version)
        self._log.worker(lane.name, lane.torchserve_version)
        try:
            self._failure_file(lane).unlink(missing_ok=True)
            settings = self._worker_settings(loaded, lane, published, identities)
            self._torchserve.prepare(
                lane,
                handler=handler,
                settings=settings.model_dump_json(),
                response_timeout_seconds=self._response_timeout_seconds,
            )
        except OSError as error:
            self._torchserve.discard(lane)
            raise VersionStartError(f"{loaded.name} {loaded.version} cannot be prepared: {error}.") from error

    async def _take_back(self, loaded: LoadedVersion, reason: BaseException) -> None:
        """Unload what could not start; where that fails as well, both are told."""
        try:
            await self.unload(loaded)
        except TorchServeError as left:
            if not isinstance(reason, Exception):  # a stop is not made into something else
                raise
            raise VersionStartError(f"{reason}\nNor could it be taken back: {left}") from reason

    async def unload(self, loaded: LoadedVersion) -> None:
        """Take a version out of TorchServe; it must be idle, or what is in flight in it fails.

        Raises TorchServeError when it keeps a lane, once all others are gone.
        """
        kept = []
        for lane in loaded.lanes:
            if self._torchserve.is_prepared(lane):
                try:
                    await self._remove(lane)
                except TorchServeError as error:
                    kept.append(error)
        if kept:
            raise kept[0]

    async def _remove(self, lane: Lane) -> None:
        try:
            await self._torchserve.unregister(lane)
        except TorchServeError:
            # Java may have died meanwhile, and everything in it with it.
            if self._torchserve.process.running:
                raise
        finally:
            self._torchserve.discard(lane)
            self._log.forget(lane.name, lane.torchserve_version)

    async def _wait_until_proved(self, loaded: LoadedVersion) -> None:
        deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        while loaded.ready_workers < loaded.settings.total_workers:
            for lane in loaded.lanes:
                await self._refuse_failed(loaded, lane)
                loaded.observe(lane, await self._torchserve.describe(lane))
            if time.monotonic() > deadline:
                raise VersionStartError(
                    f"{loaded.name} {loaded.version} was not ready after {LOAD_TIMEOUT_SECONDS} s: "
                    f"{loaded.ready_workers} of {loaded.settings.total_workers} workers are."
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _refuse_failed(self, loaded: LoadedVersion, lane: Lane) -> None:
        worker_log = self._log.worker(lane.name, lane.torchserve_version)
        failure = self._failure_of(lane)
        if failure is None and worker_log.deaths:
            # Its last words arrive after the word of its death.
            await asyncio.sleep(LAST_WORDS_SECONDS)
            failure = self._failure_of(lane) or worker_log.reason()
        if failure is not None:
            raise VersionStartError(f"{loaded.name} {loaded.version} cannot start: {failure}")

    def _failure_file(self, lane: Lane) -> Path:
        return self._runtime.failures / f"{lane.folder_name}.json"

    def _failure_of(self, lane: Lane) -> str | None:
        try:
            failure = json.loads(self._failure_file(lane).read_text())
        except FileNotFoundError:
            return None
        return str(failure["message"])

    def _worker_settings(
        self,
        loaded: LoadedVersion,
        lane: Lane,
        published: PublishedVersion,
        identities: dict[str, FileIdentity],
    ) -> WorkerSettings:
        metrics_folder = self._runtime.metrics / loaded.metrics_folder(lane)
        metrics_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WorkerSettings(
            name=loaded.name,
            version=loaded.version,
            digest=published.digest,
            version_folder=str(published.folder),
            checkpoint=published.manifest.checkpoint,
            architecture=published.manifest.architecture,
            files=identities,
            architectures=self._architectures,
            batch_size=lane.batch_size,
            threads=loaded.settings.threads,
            optimizations=list(loaded.settings.optimizations),
            fast_io=loaded.settings.fast_io,
            metrics_folder=str(metrics_folder),
            failure_file=str(self._failure_file(lane)),
        )
