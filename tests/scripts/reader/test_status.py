"""What `statehouse status` shows, of parts that only say it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.reader.status import status_of
from statehouse.scripts.servers.torchserve import WorkersStatus, WorkerStatus
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import ArchitectureCode, RowProofRecord
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState
from statehouse.scripts.supervisor.turn import Turn
from statehouse.scripts.traffic.worker_metrics import Latency

SETTINGS = VersionSettings(workers=2)
NOBODY = 2**22 + 1
PROOF = RowProofRecord(rows=4, batch_sizes=[2, 3], tolerance=1e-4, row_by_row=True)
CODE = ArchitectureCode(module="my_nets", digest="d" * 64)


@pytest.fixture
def parts(make_version, tmp_path):
    async def what_is_missing():
        return ["digits 1.1: no way"]

    async def code_changed(manifest):
        return "my_nets is newer" if manifest.architecture_code == CODE else None

    published = read_folder(make_version("digits", "1.0"))
    kept = {"architecture_code": CODE, "row_proof": PROOF}
    published = replace(published, manifest=published.manifest.model_copy(update=kept))
    worker = WorkerStatus("9000", "READY", NOBODY, on_gpu=False)
    loaded = LoadedVersion(
        *("digits", "1.0", SETTINGS, VersionState.DEGRADED),
        published=published,
        load_seconds=1.5,
        status=WorkersStatus((worker,), 3),
        doors={NOBODY},
    )
    failed = LoadedVersion("digits", "1.1", SETTINGS, VersionState.FAILED, "no way")
    process = SimpleNamespace(pid=7)
    return SimpleNamespace(
        what_is_missing=what_is_missing,
        what_is_not_up=list,
        addresses=SimpleNamespace(grpc=("127.0.0.1", 7070), url=lambda which: f"http://{which}"),
        code_changed=code_changed,
        desired=SimpleNamespace(path=tmp_path / "deployment.yaml"),
        store=SimpleNamespace(address="s3://bucket"),
        runtime=SimpleNamespace(
            path=Path("/run/x"), certificate=Path("/run/x/c.pem"), own_socket=Path("/run/x/own")
        ),
        gate=SimpleNamespace(has_certificate=False, asks_for_keys=False),
        front=SimpleNamespace(process=process, default_of=lambda name: "1.0"),
        torchserve=SimpleNamespace(process=process, fork_server=SimpleNamespace(pid=None)),
        turn=Turn(),
        log=SimpleNamespace(path=tmp_path / "deployment.log"),
        fleet=SimpleNamespace(versions={("digits", "1.0"): loaded, ("digits", "1.1"): failed}),
        metrics=SimpleNamespace(latencies=lambda: {("digits", "1.0"): Latency(5, 1, 0.1, 0.2)}),
    )


def status(parts):
    return json.loads(json.dumps(asyncio.run(status_of(parts))))


def test_where_things_are_and_what_is_missing(parts, tmp_path):
    found = status(parts)
    del found["models"]
    assert found == {
        "live": True,
        "ready": False,
        "missing": ["digits 1.1: no way"],
        "deployment": str(tmp_path / "deployment.yaml"),
        "model_store": "s3://bucket",
        "front": "http://front",
        "certificate": None,
        "own_socket": None,
        "reader": "http://reader",
        "grpc": "127.0.0.1:7070",
        "log": str(tmp_path / "deployment.log"),
        "pids": {"front": 7, "torchserve": 7, "fork_server": None},
        "change": None,
    }


def test_the_door_of_one_that_asks_for_keys(parts):
    parts.gate = SimpleNamespace(has_certificate=True, asks_for_keys=True)
    found = status(parts)
    assert (found["certificate"], found["own_socket"]) == ("/run/x/c.pem", "/run/x/own")


def test_a_row_for_each_version(parts):
    row, _ = status(parts)["models"]
    assert (row["name"], row["version"], row["default"]) == ("digits", "1.0", True)
    assert (row["state"], row["architecture"], row["task"]) == ("DEGRADED", "simple_net", "tensor")
    assert (row["code"], row["code_changed"]) == (CODE.model_dump(), "my_nets is newer")
    assert row["row_proof"] == PROOF.model_dump()
    assert row["workers"] == {"ready": 1, "desired": 2, "pids": [NOBODY]}
    assert (row["memory_bytes"], row["load_seconds"], row["queued_requests"]) == (0, 1.5, 3)
    assert row["latency"] == {"requests": 5, "failed": 1, "p50_seconds": 0.1, "p99_seconds": 0.2}
    assert VersionSettings.model_validate(row["settings"]) == SETTINGS
    assert "lanes" not in row


def test_one_that_could_not_be_read_has_its_reason_and_no_more(parts):
    _, row = status(parts)["models"]
    assert (row["state"], row["reason"], row["default"]) == ("FAILED", "no way", False)
    for name in (
        "digest",
        "architecture",
        "task",
        "library_changed",
        "code",
        "code_changed",
        "row_proof",
        "latency",
    ):
        assert row[name] is None
