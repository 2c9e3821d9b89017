"""A version that cannot start says why, also when TorchServe will not let go of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.deployment import VersionSettings
from scripts.errors import TorchServeError, VersionStartError
from scripts.loaded_version import LoadedVersion
from scripts.loading import VersionLoader
from scripts.runtime import RuntimeFolder
from scripts.server_log import ServerLog
from scripts.store import LocalStore
from scripts.torchserve import Lane, TorchServe
from tests.scripts.conftest import MakeVersion


class StubbornTorchServe(TorchServe):
    """Refuses the second lane, and to unload the first: no real one can be made to do so at will."""

    def __init__(self, runtime: RuntimeFolder) -> None:
        super().__init__(
            runtime, grpc_address=("127.0.0.1", 0), grpc_management_port=0, max_request_bytes=1, python_path=[],
            on_line=print,
        )  # fmt: skip
        self.process = SimpleNamespace(running=True)
        self.registered: list[Lane] = []

    async def register(self, lane: Lane) -> None:
        if self.registered:
            raise TorchServeError("no more lanes")
        self.registered.append(lane)

    async def unregister(self, lane: Lane) -> None:
        raise TorchServeError(f"kept {lane.batch_size}")


def test_the_reason_is_told_before_what_went_wrong_after_it(
    short_folder: Path, store_folder: Path, make_version: MakeVersion
) -> None:
    make_version("digits", "1.0")
    runtime = RuntimeFolder(short_folder / "run")
    runtime.create()
    runtime.make_folders()
    torchserve = StubbornTorchServe(runtime)
    loader = VersionLoader(
        runtime, torchserve, ServerLog(runtime.path / "log", print), store=LocalStore(store_folder),
        architectures=[], response_timeout_seconds=5, say=print,
    )  # fmt: skip
    loaded = LoadedVersion("digits", "1.0", VersionSettings())
    with pytest.raises(VersionStartError) as raised:
        asyncio.run(loader.load(loaded))
    assert str(raised.value).splitlines() == ["no more lanes", "Nor could it be taken back: kept 8"]
    assert not any(torchserve.is_prepared(lane) for lane in loaded.lanes)
