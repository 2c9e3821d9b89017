"""Versions and counts as a server has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.reader.metrics.page import text_of
from statehouse.scripts.servers.torchserve import WorkersStatus, WorkerStatus
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

SETTINGS = VersionSettings(workers=4)


@pytest.fixture
def loaded() -> LoadedVersion:
    """`net` 1.0: three of its four workers are ready, and five requests wait."""
    manifest = SimpleNamespace(digest="d" * 64, architecture="mlp", task="tensor", parameter_count=20)
    published: Any = SimpleNamespace(manifest=manifest)
    workers = [
        WorkerStatus(str(number), state, 10 + number, on_gpu=False)
        for number, state in enumerate(["READY"] * 3 + ["LOADING"])
    ]
    return LoadedVersion(
        *("net", "1.0", SETTINGS, VersionState.DEGRADED),
        published=published,
        load_seconds=1.5,
        status=WorkersStatus(tuple(workers), 5),
        doors={10, 11, 12},
    )


@pytest.fixture
def versions(loaded: LoadedVersion) -> dict[tuple[str, str], LoadedVersion]:
    """`net` 1.0, and 1.1, which cannot start."""
    failed = LoadedVersion("net", "1.1", SETTINGS, VersionState.FAILED, "no way")
    return {("net", "1.0"): loaded, ("net", "1.1"): failed}


@pytest.fixture
def lines() -> Callable[[Iterable[Any]], dict[str, float]]:
    """Return a function that gives metrics as Prometheus reads them: each sample by its name and labels."""

    def read(metrics: Iterable[Any]) -> dict[str, float]:
        told = (line.rpartition(" ") for line in text_of(metrics).decode().splitlines() if line[:1] != "#")
        return {name: float(value) for name, _, value in told}

    return read
