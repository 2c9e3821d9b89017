"""Nothing can be written where deployment.yaml is: what serves goes on, a change is refused with the reason."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.server import STATEHOUSE
from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of
from tests.faults.moody_nets import POISON

# Longer than what is journalled of a swap; deployment.yaml is made longer than that.
JOURNAL_FITS_BYTES = 3000
NOTHING_FITS_BYTES = 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    server = FaultyServer(tmp_path_factory.mktemp("full"))
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.publish("2.0", "nan")
    server.deploy("1.0", model_store="./" * (JOURNAL_FITS_BYTES // 2) + "model_store")
    server.start()
    yield server
    server.kill_if_running()


@contextmanager
def full(server: FaultyServer, size_bytes: int) -> Iterator[None]:
    """No file of the supervisor's may become longer: the one fault of a full disk that needs no disk."""
    assert server.process is not None
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("size_bytes", "file", "options"),
    [
        (NOTHING_FITS_BYTES, "deployment.pending.json", ()),
        (JOURNAL_FITS_BYTES, "deployment.yaml", ()),
        (JOURNAL_FITS_BYTES, "deployment.yaml", ("--replace",)),
    ],
)
def test_a_swap_that_cannot_be_written_is_refused(
    server: FaultyServer, size_bytes: int, file: str, options: tuple[str, ...]
) -> None:
    before = server.deployment_file.read_bytes()
    with server.load() as load, full(server, size_bytes):
        server.wait_until(lambda: load.answered > 50)
        refused = server.run("swap", "moody", "1.1", *options, check=False)
        beyond = load.answered + 50
        server.wait_until(lambda: load.answered > beyond)
    assert refused.returncode == 1
    assert f"{file} cannot be written: File too large" in refused.stderr
    assert load.result.answers.keys() == {(200, "1.0")}
    assert not load.result.errors
    assert server.deployment_file.read_bytes() == before
    assert server.is_ready()
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}
    assert not list(server.folder.glob(".deployment*"))


def test_a_roll_back_happens_although_it_cannot_be_written(server: FaultyServer) -> None:
    bodies = (body_of(1), body_of(1, POISON))
    with server.load(connections=0, rate=50) as calm:
        swap = subprocess.Popen(
            [STATEHOUSE, "swap", "moody", "2.0", "--watch", "60s"],
            cwd=server.folder, stderr=subprocess.PIPE, text=True, env=server.environment(),
        )  # fmt: skip
        server.wait_until(lambda: server.read_deployment()["models"]["moody"]["default"] == "2.0")
        with full(server, NOTHING_FITS_BYTES), server.load(rate=20, connections=0, bodies=bodies):
            _, told = swap.communicate(timeout=240)
        assert swap.returncode == 1
    assert "cannot be written" in told
    assert "1.0 serves again" in told
    assert set(calm.result.statuses) == {200}
    assert server.serving() == "1.0"


def test_what_was_not_written_is_written_with_the_next_change(server: FaultyServer) -> None:
    """The file still says 2.0, the server does not: a change puts that right, and the history is complete."""
    server.run("swap", "moody", "1.1")
    assert server.read_deployment()["models"]["moody"]["default"] == "1.1"
    assert server.serving() == "1.1"
    told = [(entry["kind"], entry["to"]["version"], entry["outcome"]) for entry in server.history()]
    assert told == [
        ("swap", "1.1", "failed"),
        ("swap", "1.1", "failed"),
        ("swap", "1.1", "failed"),
        ("swap", "2.0", "rolled back"),
        ("swap", "1.1", "done"),
    ]


@contextmanager
def disk_of(size: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="st-"))  # short: sockets live in one of them
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"mounting needs rights that we have not: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own, 512 KiB."""
    with disk_of("512k") as folder:
        yield folder


@pytest.fixture
def disk_of_temporary_files() -> Iterator[Path]:
    with disk_of("64m") as folder:
        yield folder


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    for size in (1 << 20, 4096, 1):  # to the last byte
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(size)):
                pass
    return filler


def test_a_disk_that_is_full_is_told_and_nothing_is_lost(small_disk: Path, tmp_path: Path) -> None:
    server = FaultyServer(small_disk)
    server.store = tmp_path / "model_store"
    server.store.mkdir()
    for version in ("1.0", "1.1"):
        server.publish(version)
        (server.folder / f"moody-{version}.pt").unlink()
    server.deploy("1.0", model_store=str(server.store))
    server.start()
    try:
        before = server.deployment_file.read_bytes()
        filler = fill(small_disk)
        refused = server.run("swap", "moody", "1.1", check=False)
        assert refused.returncode == 1
        assert "No space left on device" in refused.stderr
        assert server.serving() == "1.0"
        assert server.deployment_file.read_bytes() == before
        filler.unlink()
        server.run("swap", "moody", "1.1")
        assert [entry["outcome"] for entry in server.history()] == ["failed", "done"]
    finally:
        server.kill_if_running()


class ServerOfADisk(FaultyServer):
    """One whose private folder, and with it all temporary files, is on a disk of its own."""

    disk: Path

    def environment(self) -> dict[str, str]:
        return super().environment() | {"XDG_RUNTIME_DIR": str(self.disk), "TMPDIR": str(self.disk)}

    def status(self) -> dict[str, Any]:
        return self.run_json("status")  # the command knows where the socket is


def test_a_disk_of_temporary_files_that_is_full_stops_no_answer(
    disk_of_temporary_files: Path, tmp_path: Path
) -> None:
    """A worker that has to start meanwhile may fail to; once there is room again, all is as desired.

    Until then its requests wait; and a flip to what is loaded needs no room.
    """
    server = ServerOfADisk(tmp_path)
    server.disk = disk_of_temporary_files
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0", "1.1")
    server.start()
    try:
        with server.load("moody/1.0", rate=50) as load, ThreadPoolExecutor(8) as pool:
            server.wait_until(lambda: load.answered > 50)
            filler = fill(disk_of_temporary_files)
            server.run("swap", "moody", "1.1")
            server.run("rollback", "moody")
            [pid] = server.model("moody", "1.1")["workers"]["pids"]
            os.kill(pid, signal.SIGKILL)
            beyond = load.answered + 300
            server.wait_until(lambda: load.answered > beyond)
            waiting = [pool.submit(server.ask, "moody/1.1") for _ in range(8)]
            beyond = load.answered + 200
            server.wait_until(lambda: load.answered > beyond)
            refused = [each.result().text for each in waiting if each.done()]
            filler.unlink()
            server.wait_until(lambda: server.model("moody", "1.1")["workers"]["pids"] not in ([], [pid]))
            server.wait_until(server.is_ready)
        assert load.result.answers.keys() == {(200, "1.0")}
        assert not load.result.errors
        assert refused == []
        assert [each.result().status_code for each in waiting] == [200] * 8
        server.run("swap", "moody", "1.1")
    finally:
        server.kill_if_running()
