"""The clock is set by an hour, forward and back, for the supervisor, TorchServe and the workers: nobody notices.

It is set when somebody waits for something, and asked for what is cached or waited for right after.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.e2e.server import STATEHOUSE
from tests.faults.conftest import FaultyServer
from tests.faults.load import MOST_IN_FLIGHT, CountedLoad
from tests.faults.test_killed_changes import wait_for_step

SOURCE = Path(__file__).with_name("shifted_clock.c")
HOUR_SECONDS = 3600


class ShiftedServer(FaultyServer):
    """A server whose time of day can be set."""

    def build(self) -> None:
        library = self.folder / "shifted_clock.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)

    def environment(self) -> dict[str, str]:
        preload = {"LD_PRELOAD": str(self.folder / "shifted_clock.so"), "HOME": str(self.folder)}
        return super().environment() | preload

    def set_ahead(self, seconds: int) -> None:
        file = self.folder / "clock-is-ahead"
        file.touch()
        with file.open("r+b") as ahead:
            ahead.truncate(seconds)


def answer_more(server: FaultyServer, load: CountedLoad) -> None:
    server.wait_until(lambda target=load.answered + 50: load.answered > target)


def workers_of(server: FaultyServer, version: str) -> list[int]:
    return list(server.model("moody", version)["workers"]["pids"])


def swap_and_set_ahead(server: ShiftedServer, version: str, seconds: int) -> None:
    """Set the clock while the version is being loaded."""
    with subprocess.Popen(
        [STATEHOUSE, "swap", "moody", version],
        cwd=server.folder, env=server.environment(), stderr=subprocess.PIPE, text=True,
    ) as swap:  # fmt: skip
        wait_for_step(server, "load", ("load", "verify", "flip", "drain"))
        server.set_ahead(seconds)
        _, told = swap.communicate()
        assert swap.returncode == 0, told


def test_a_clock_that_is_set_changes_nothing(tmp_path: Path) -> None:
    server = ShiftedServer(tmp_path)
    server.build()
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0")
    server.start()
    try:
        with server.load(rate=50) as load:
            answer_more(server, load)
            swap_and_set_ahead(server, "1.1", HOUR_SECONDS)
            answer_more(server, load)
            assert server.is_ready()
            server.run("swap", "moody", "9.9", check=False)  # so that the history has that hour
            server.set_ahead(0)
            [pid] = workers_of(server, "1.1")
            os.kill(pid, signal.SIGKILL)
            server.wait_until(lambda: workers_of(server, "1.1") not in ([], [pid]), seconds=60)
            server.wait_until(server.is_ready, seconds=60)
            back = time.monotonic()
            answer_more(server, load)
            server.run("swap", "moody", "1.0")
            answer_more(server, load)
        assert set(load.result.statuses) <= {200, 502, 503}
        assert load.result.failed <= MOST_IN_FLIGHT
        assert load.result.failed == 0 or load.result.last_failed_sent < back
        assert not load.result.errors
        assert server.serving() == "1.0"
        assert server.is_ready()
        assert [entry["outcome"] for entry in server.history()] == ["done", "refused", "done"]
        _, ahead, again = [datetime.fromisoformat(entry["when"]) for entry in server.history()]
        assert ahead - datetime.now(UTC) > timedelta(minutes=50)
        assert again - datetime.now(UTC) < timedelta(minutes=50)
        assert all(
            step["seconds"] < HOUR_SECONDS / 2 for entry in server.history() for step in entry["steps"]
        )
    finally:
        server.kill_if_running()
