"""One version into TorchServe: check its files, register it, wait until it has proved itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from statehouse.handlers.worker.settings import ArchitectureSnapshot, FileIdentity, WorkerSettings
from statehouse.scripts.deployment.snapshots import Snapshots, needs_modules_on_disk
from statehouse.scripts.errors import ServerError, TorchServeError, VersionStartError
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_log import ServerLog, WorkerLog
from statehouse.scripts.servers.torchserve import LOAD_TIMEOUT_SECONDS, TorchServe
from statehouse.scripts.store import ModelStore, PublishedVersion
from statehouse.scripts.supervisor.fetching import fetch
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

POLL_SECONDS = 0.05
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
        snapshots: Snapshots,
        architectures: Callable[[], Sequence[str]],
        max_request_bytes: int,
        request_timeout_seconds: int,
        say: Callable[[str], None],
    ) -> None:
        self._runtime = runtime
        self._torchserve = torchserve
        self._log = log
        self._store = store
        self._snapshots = snapshots
        self._architectures = architectures
        self._max_request_bytes = max_request_bytes
        self._request_timeout_seconds = request_timeout_seconds
        self._say = say
        self._verifying = ThreadPoolExecutor(thread_name_prefix="verify")

    async def load(self, loaded: LoadedVersion) -> None:
        """Bring a version up; on return all its workers have answered its golden examples.

        Raises StoreError when its files cannot be fetched or are not as published, UnknownCodeError when its code is
        not here, VersionStartError with the worker's own reason when it cannot start. In all cases nothing of it is
        left in TorchServe.
        """
        began = time.monotonic()
        loaded.published = await self._fetch(loaded)
        # Reading and hashing the files takes seconds per gigabyte: never in the event loop, nor in the threads that
        # readers use.
        identities = await asyncio.get_running_loop().run_in_executor(
            self._verifying, self._store.verify, loaded.published
        )
        snapshot = await asyncio.to_thread(self._snapshot_of, loaded.published)
        try:
            self._prepare(loaded, identities, snapshot)
            await self._torchserve.register(loaded.registration)
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

    def _prepare(
        self,
        loaded: LoadedVersion,
        identities: dict[str, FileIdentity],
        snapshot: ArchitectureSnapshot | None,
    ) -> None:
        published = loaded.published
        if published is None:
            raise ServerError(f"{loaded.name} {loaded.version} has not been looked up in the model store.")
        handler = f"statehouse.handlers.{published.manifest.task}"
        registration = loaded.registration
        self._log.forget(registration.name, registration.torchserve_version)
        self._worker_log(loaded)
        try:
            self._failure_file(loaded).unlink(missing_ok=True)
            settings = self._worker_settings(loaded, published, identities, snapshot)
            self._torchserve.prepare(
                registration,
                handler=handler,
                settings=settings.model_dump_json(),
                response_timeout_seconds=self._request_timeout_seconds,
            )
        except OSError as error:
            self._torchserve.discard(registration)
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

        Raises TorchServeError when it keeps it.
        """
        registration = loaded.registration
        if not self._torchserve.is_prepared(registration):
            return
        try:
            await self._torchserve.unregister(registration)
        except TorchServeError:
            # TorchServe may have died meanwhile, and everything in it with it.
            if self._torchserve.process.running:
                raise
        finally:
            self._torchserve.discard(registration)
            self._log.forget(registration.name, registration.torchserve_version)

    async def _wait_until_proved(self, loaded: LoadedVersion) -> None:
        wanted = loaded.settings.workers
        deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        while True:
            await self._refuse_failed(loaded)
            loaded.observe(await self._torchserve.describe(loaded.registration))
            if min(loaded.ready_workers, loaded.status.ready_workers) >= wanted:
                return
            if time.monotonic() > deadline:
                raise VersionStartError(
                    f"{loaded.name} {loaded.version} was not ready after {LOAD_TIMEOUT_SECONDS} s: "
                    f"{loaded.ready_workers} of {wanted} workers are."
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _refuse_failed(self, loaded: LoadedVersion) -> None:
        worker_log = self._worker_log(loaded)
        failure = self._failure_of(loaded)
        if failure is None and worker_log.deaths:
            # Its last words arrive after the word of its death.
            await asyncio.sleep(LAST_WORDS_SECONDS)
            failure = self._failure_of(loaded) or worker_log.reason()
        if failure is not None:
            raise VersionStartError(f"{loaded.name} {loaded.version} cannot start: {failure}")

    def last_words(self, loaded: LoadedVersion) -> str | None:
        """Return the last error that a version's workers told of, None where they told of none."""
        return self._failure_of(loaded) or self._worker_log(loaded).last_error

    def _worker_log(self, loaded: LoadedVersion) -> WorkerLog:
        return self._log.worker_log(loaded.name, loaded.registration.torchserve_version)

    def _failure_file(self, loaded: LoadedVersion) -> Path:
        return self._runtime.failures / f"{loaded.registration.folder_name}.json"

    def _failure_of(self, loaded: LoadedVersion) -> str | None:
        try:
            failure = json.loads(self._failure_file(loaded).read_text())
        except FileNotFoundError:
            return None
        return str(failure["message"])

    def _worker_settings(
        self,
        loaded: LoadedVersion,
        published: PublishedVersion,
        identities: dict[str, FileIdentity],
        snapshot: ArchitectureSnapshot | None,
    ) -> WorkerSettings:
        metrics_folder = self._runtime.metrics / loaded.metrics_folder
        metrics_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WorkerSettings(
            name=loaded.name,
            version=loaded.version,
            digest=published.digest,
            version_folder=str(published.folder),
            checkpoint=published.manifest.checkpoint,
            architecture=published.manifest.architecture,
            files=identities,
            snapshot=snapshot,
            architectures=self._modules_on_disk(published),
            batch_size=loaded.settings.batch_size,
            threads=loaded.settings.threads,
            optimizations=list(loaded.settings.optimizations),
            door=str(loaded.door_prefix),
            max_request_bytes=self._max_request_bytes,
            request_timeout_seconds=self._request_timeout_seconds,
            metrics_folder=str(metrics_folder),
            failure_file=str(self._failure_file(loaded)),
        )

    def _snapshot_of(self, published: PublishedVersion) -> ArchitectureSnapshot | None:
        code = published.manifest.architecture_code
        if code is None:
            return None
        folder = self._snapshots.find(code, f"{published.name} {published.version}")
        return ArchitectureSnapshot(folder=str(folder), module=code.module, digest=code.digest)

    def _modules_on_disk(self, published: PublishedVersion) -> list[str]:
        """Return what must be imported from disk: for versions that were published before code was kept."""
        return list(self._architectures()) if needs_modules_on_disk(published.manifest) else []
