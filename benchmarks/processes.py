"""A server of the benchmark's: started in a process group of its own, waited for, and ended with all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
START_SECONDS = 90
STOP_SECONDS = 15
LOG_TAIL_BYTES = 1500


class PeerUnavailableError(Exception):
    """A peer cannot be run on this machine; the message says why."""


def end_in_order() -> None:
    """Let SIGTERM end this benchmark as Ctrl-C does: what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def bench_python(*packages: str) -> str:
    """Return the Python of the peers' environment; PeerUnavailableError unless it has ``packages``."""
    if not BENCH_PYTHON.exists():
        raise PeerUnavailableError("no .venv-bench: `make bench` makes it")
    found = subprocess.run(
        [BENCH_PYTHON, "-c", f"import {', '.join(packages)}"], capture_output=True, check=False
    )
    if found.returncode:
        raise PeerUnavailableError(f"not installed in .venv-bench: {', '.join(packages)}")
    return str(BENCH_PYTHON)


def free_port() -> int:
    """Return a TCP port of the loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """One command with everything it starts, its output in ``folder``/server.log."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, url: str) -> None:
        """Wait until ``url`` answers 200; PeerUnavailableError with the log's end if that does not happen."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(url, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.stop()
        tail = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        raise PeerUnavailableError(f"did not start:\n{tail}")

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Give it and its children no processor for as long as the block runs."""
        self._signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # then its requests fail, and are counted
            os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """End it, politely first; then whatever is left of its group."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._signal_all(signal.SIGKILL)
        self._process.wait()
