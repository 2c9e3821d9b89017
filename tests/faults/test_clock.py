"""The clock is set by an hour, forward and back, for the supervisor, TorchServe and the workers: nobody notices."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.conftest import FaultyServer

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


def test_a_clock_that_is_set_changes_nothing(tmp_path: Path) -> None:
    server = ShiftedServer(tmp_path)
    server.build()
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0")
    server.start()
    try:
        with server.load(rate=50) as load:
            for version, ahead in (("1.1", HOUR_SECONDS), ("1.0", 0)):
                server.wait_until(lambda target=load.answered + 50: load.answered > target)
                server.set_ahead(ahead)
                server.wait_until(lambda target=load.answered + 50: load.answered > target)
                server.run("swap", "moody", version)
            server.wait_until(lambda target=load.answered + 50: load.answered > target)
        assert set(load.result.statuses) == {200}
        assert not load.result.errors
        assert server.serving() == "1.0"
        assert server.is_ready()
        forward, back = [datetime.fromisoformat(entry["when"]) for entry in server.history()]
        assert forward - datetime.now(UTC) > timedelta(minutes=50)
        assert datetime.now(UTC) - back < timedelta(minutes=50)
        assert all(
            step["seconds"] < HOUR_SECONDS / 2 for entry in server.history() for step in entry["steps"]
        )
    finally:
        server.kill_if_running()
