"""Swaps of a real model at full load, by wrk: nothing is lost, and no answer comes from a version of the past."""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest
from tests.e2e.conftest import publish
from tests.e2e.server import STATEHOUSE, Server
from tests.support.wrk import Measure, Target, read_wrk, wrk_script

from statehouse.handlers.golden import read_golden
from statehouse.models.example import Example

CONNECTIONS = 64
LONGEST_SECONDS = 600


class Wrk:
    """wrk at 64 connections, from ``with`` to its end."""

    def __init__(self, url: str, example: Example, folder: Path) -> None:
        wrk = shutil.which("wrk")
        assert wrk, "wrk is not installed: run `make test-deps`"
        script = folder / "load.lua"
        target = Target(url, (example.body,), {"Content-Type": example.content_type})
        script.write_text(wrk_script(target, folder))
        self._command = [wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--script", str(script)]
        self._command += ["--duration", f"{LONGEST_SECONDS}s", "--timeout", "60s", url]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)  # it tells what it found, as at its end
        output, _ = self._process.communicate(timeout=120)
        if kind is None:
            self.result: Measure = read_wrk(output)


class Probe(threading.Thread):
    """Requests one after another, each with when it was sent and which version answered."""

    def __init__(self, url: str, example: Example) -> None:
        super().__init__(daemon=True)
        self._url, self._example = url, example
        self._over = threading.Event()
        self.answers: list[tuple[float, int, str]] = []

    def run(self) -> None:
        headers = {"content-type": self._example.content_type}
        with httpx.Client(timeout=60, headers=headers) as client:
            while not self._over.is_set():
                sent = time.monotonic()
                answer = client.post(self._url, content=self._example.body)
                self.answers.append((sent, answer.status_code, answer.headers.get("x-model-version", "none")))

    def stop_after(self, count: int) -> None:
        """Stop when so many more have been answered."""
        enough, deadline = len(self.answers) + count, time.monotonic() + 120
        while len(self.answers) < enough:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server made of its store as a newcomer's is: digits 1.0; 1.1 and 1.2 are published from the same checkpoint."""
    server = Server(tmp_path_factory.mktemp("full-load"))
    publish(server, trained / "digits.pt", "digits", "1.0")
    server.write_deployment(models={"digits": {"default": "1.0", "versions": {"1.0": {}}}})
    server.start()
    for version in ("1.1", "1.2"):
        publish(server, trained / "digits.pt", "digits", version)
    yield server
    server.kill_if_running()


def example_of(server: Server) -> Example:
    """A request that the model was published with."""
    return read_golden(server.store / "digits-1.0" / "golden.json").examples[0]


def run_and_see_the_flip(server: Server, *command: str) -> float:
    """Run a command; return when it had told of the flip."""
    flipped = 0.0
    with subprocess.Popen(
        [STATEHOUSE, *command],
        cwd=server.folder,
        env=server.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "is served by" in line:
                flipped = time.monotonic()
        assert process.wait() == 0
    assert flipped
    return flipped


def test_two_swaps_and_a_roll_back_at_full_load_lose_nothing(server: Server, tmp_path: Path) -> None:
    url, example = f"{server.announced['front']}/predictions/digits", example_of(server)
    probe = Probe(url, example)
    with Wrk(url, example, tmp_path) as wrk:
        probe.start()
        flips = [
            (run_and_see_the_flip(server, "swap", "digits", "1.1"), "1.1"),
            (run_and_see_the_flip(server, "swap", "digits", "1.2"), "1.2"),
            (run_and_see_the_flip(server, "rollback", "digits"), "1.1"),
        ]
        probe.stop_after(10)
    assert wrk.result.answered > CONNECTIONS
    assert wrk.result.failed == 0
    assert {status for _, status, _ in probe.answers} == {200}
    afterwards = [*flips[1:], (math.inf, "none")]
    for (flipped, version), (next_flipped, following) in zip(flips, afterwards, strict=True):
        served = [answered for sent, _, answered in probe.answers if flipped <= sent < next_flipped]
        # A flip is told after it has happened: the last of these may have met the next one.
        before_that = served.index(following) if following in served else len(served)
        assert served == [version] * before_that + [following] * (len(served) - before_that)
    assert probe.answers[-1][2] == "1.1"
    history = server.run_json("history")
    assert [(entry["kind"], entry["from"]["version"], entry["to"]["version"]) for entry in history] == [
        ("swap", "1.0", "1.1"),
        ("swap", "1.1", "1.2"),
        ("rollback", "1.2", "1.1"),
    ]
    assert all(entry["outcome"] == "done" and entry["failed"] == 0 for entry in history)
    assert all(entry["requests"] > 0 for entry in history)


def test_one_byte_flipped_is_refused_at_full_load_and_the_old_version_serves(
    server: Server, trained: Path, tmp_path: Path
) -> None:
    publish(server, trained / "digits.pt", "digits", "2.0")
    checkpoint = server.store / "digits-2.0" / "checkpoint.pt"
    checkpoint.chmod(0o644)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    url, example = f"{server.announced['front']}/predictions/digits", example_of(server)
    with Wrk(url, example, tmp_path) as wrk:
        refused = server.run("swap", "digits", "2.0", check=False)
    assert refused.returncode == 1
    assert "SHA-256" in refused.stderr
    assert "digits is served by 1.1." in refused.stderr
    assert wrk.result.failed == 0
    answer = httpx.post(url, content=example.body, headers={"content-type": example.content_type})
    assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1.1")
    assert server.run_json("history")[-1]["outcome"] == "failed"
