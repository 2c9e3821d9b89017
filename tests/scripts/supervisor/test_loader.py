"""A version is loaded when its doors are open, and one that cannot start says why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.scripts.conftest import MakeVersion

from statehouse.handlers.worker.settings import WorkerSettings
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import TorchServeError, VersionStartError
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_log import ServerLog
from statehouse.scripts.servers.torchserve import Registration, TorchServe, WorkersStatus, WorkerStatus
from statehouse.scripts.store import LocalStore
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState
from statehouse.scripts.supervisor.loader import VersionLoader


class StubbornTorchServe(TorchServe):
    """Refuses a version, and to unload it: no real one can be made to do so at will."""

    def __init__(self, runtime: RuntimeFolder) -> None:
        super().__init__(
            runtime, grpc_address=("127.0.0.1", 0), grpc_management_port=0, max_request_bytes=1, python_path=[],
            on_line=print,
            say=print,
        )  # fmt: skip
        self.process = SimpleNamespace(running=True)

    async def register(self, registration: Registration) -> None:
        raise TorchServeError("no more versions")

    async def unregister(self, registration: Registration) -> None:
        raise TorchServeError(f"kept {registration.torchserve_version}")


class WillingTorchServe(StubbornTorchServe):
    """Has registered a version at once, whose workers are as it is told."""

    def __init__(self, runtime: RuntimeFolder) -> None:
        super().__init__(runtime)
        self.settings: WorkerSettings | None = None
        self.looks: list[str] = []

    def prepare(self, registration: Registration, *, settings: str, **about: Any) -> None:
        self.settings = WorkerSettings.model_validate_json(settings)
        super().prepare(registration, settings=settings, **about)

    async def register(self, registration: Registration) -> None:
        pass

    async def describe(self, registration: Registration) -> WorkersStatus:
        self.looks.append(registration.torchserve_version)
        workers = tuple(
            WorkerStatus(str(n), "READY", 1, on_gpu=False) for n in range(registration.worker_count)
        )
        return WorkersStatus(workers)


@pytest.fixture
def runtime(short_folder: Path) -> RuntimeFolder:
    made = RuntimeFolder(short_folder / "run")
    made.create()
    made.make_folders()
    return made


@pytest.fixture
def log(runtime: RuntimeFolder) -> Iterator[ServerLog]:
    log = ServerLog(runtime.path / "log", print)
    yield log
    log.close()


def loader_of(torchserve: TorchServe, runtime: RuntimeFolder, log: ServerLog, store: Path) -> VersionLoader:
    return VersionLoader(
        runtime, torchserve, log, store=LocalStore(store), snapshots=Snapshots(store), architectures=list,
        max_request_bytes=1000, request_timeout_seconds=5, say=print,
    )  # fmt: skip


def test_the_reason_is_told_before_what_went_wrong_after_it(
    runtime: RuntimeFolder, log: ServerLog, store_folder: Path, make_version: MakeVersion
) -> None:
    make_version("digits", "1.0")
    torchserve = StubbornTorchServe(runtime)
    loader = loader_of(torchserve, runtime, log, store_folder)
    loaded = LoadedVersion("digits", "1.0", VersionSettings())
    with pytest.raises(VersionStartError) as raised:
        asyncio.run(loader.load(loaded))
    told = ["no more versions", "Nor could it be taken back: kept 1.0-g0"]
    assert str(raised.value).splitlines() == told
    assert not torchserve.is_prepared(loaded.registration)


def test_a_version_is_ready_when_its_workers_doors_are_open(
    runtime: RuntimeFolder, log: ServerLog, store_folder: Path, make_version: MakeVersion
) -> None:
    """TorchServe has them ready before that: it does not know of doors."""
    make_version("digits", "1.0")
    torchserve = WillingTorchServe(runtime)
    loader = loader_of(torchserve, runtime, log, store_folder)
    loaded = LoadedVersion("digits", "1.0", VersionSettings(workers=2), door_prefix=runtime.doors / "3-7")

    async def run() -> None:
        loading = asyncio.create_task(loader.load(loaded))
        for opened in range(2):
            looked = len(torchserve.looks)
            while len(torchserve.looks) < looked + 2:
                await asyncio.sleep(0.001)
            assert loaded.state is VersionState.LOADING
            loaded.doors.add(opened)
        await loading

    asyncio.run(run())
    assert loaded.state is VersionState.READY
    assert set(torchserve.looks) == {"1.0-g0"}
    told = torchserve.settings
    assert told is not None
    assert (told.door, told.batch_size) == (str(runtime.doors / "3-7"), 64)
    assert (told.max_request_bytes, told.request_timeout_seconds) == (1000, 5)
    assert Path(told.metrics_folder) == runtime.metrics / "digits-1.0" / "1.0-g0"
