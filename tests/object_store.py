"""A real S3 server, and a real connection to it that can be cut, spoilt, stalled and taken away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

WEED = Path(sys.executable).parent / "weed"
START_SECONDS = 60
ACCESS_KEY = "AKIASTATEHOUSETESTS0"
SECRET_KEY = "a-secret-key-of-the-tests/that+nobody=may-see"
READER_ACCESS_KEY, READER_SECRET_KEY = "AKIAONLYREADS0000000", "another-secret-key-of-the-tests"
BUCKET = "tests"
BLOCK_BYTES = 16384


class Weed:
    """SeaweedFS in one process: its own folder, its own ports."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = self.filer_port = 0
        self._process = self._start(folder)
        self._roots = 0
        self.wait_until_written()

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        identities = [
            {
                "name": "all",
                "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "reader",
                "credentials": [{"accessKey": READER_ACCESS_KEY, "secretKey": READER_SECRET_KEY}],
                "actions": ["Read", "List"],
            },
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        ports = free_ports(8)
        self.port, self.filer_port = ports[0], ports[3]
        names = ("s3", "master", "volume", "filer", "s3.", "master.", "volume.", "filer.")
        flags = [
            f"-{name}port.grpc={port}" if name.endswith(".") else f"-{name}.port={port}"
            for name, port in zip(names, ports, strict=True)
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(WEED, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"),
                    *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"),
                    *("-master.volumeSizeLimitMB=64", "-volume.max=40", "-master.telemetry=false", *flags),
                ],
                cwd=folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_until_up(process, folder / "log")
        except BaseException:
            process.kill()
            raise
        return process

    def _wait_until_up(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise AssertionError(f"weed did not start:\n{log.read_text()[-3000:]}")

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_written(self) -> None:
        """Make the bucket; the first write has to wait until the server is whole."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.files.makedirs(BUCKET, exist_ok=True)
                self.files.pipe_file(f"{BUCKET}/ready", b"ready")
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def new_root(self) -> str:
        """Return a place of its own for a test, ``BUCKET/PREFIX``."""
        self._roots += 1
        return f"{BUCKET}/models-{self._roots}"

    @cached_property
    def files(self) -> Any:
        """The store as the tests themselves use it: not through a proxy."""
        import s3fs

        return s3fs.S3FileSystem(
            key=ACCESS_KEY, secret=SECRET_KEY, endpoint_url=f"http://127.0.0.1:{self.port}",
            skip_instance_cache=True, use_listings_cache=False,
        )  # fmt: skip


def environment(port: int) -> dict[str, str]:
    """Return what the standard chain reads."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }


def forget_connections() -> None:
    """s3fs keeps those that a process has made, and does not look whether the environment names another server."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, and lie below those that the system gives away by itself."""
    ports: list[int] = []
    candidate = 20_000 + os.getpid() % 9_000
    while len(ports) < count:
        candidate += 1
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", candidate))
            ports.append(candidate)
    return ports


# What becomes of bytes of an answer, of which so many have come before on this connection; None: cut it.
Fault = Callable[[bytes, int], bytes | None]


class Proxy:
    """A TCP connection to a server, with faults in what it answers."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = 0
        self.reset()

    def reset(self) -> None:
        """Be there, and do nothing to what passes."""
        self.fault: Fault = lambda content, before: content
        self.request_fault: Fault = lambda content, before: content
        self.answered_bytes = 0
        if self._listener is None:
            self.come_back()

    def come_back(self) -> None:
        """Listen, on the port of before if there was one."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self._listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def go_away(self) -> None:
        """Refuse connections, and end those that are."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target_port)) as server:
            with self._lock:
                self._open |= {client, server}
            requests = threading.Thread(target=self._pump, args=(client, server, False), daemon=True)
            requests.start()
            self._pump(server, client, True)
            requests.join()
            with self._lock:
                self._open -= {client, server}

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        before = 0
        try:
            while content := source.recv(BLOCK_BYTES):
                passed = (self.fault if answers else self.request_fault)(content, before)
                if passed is None:
                    break
                target.sendall(passed)
                before += len(content)
                if answers:
                    with self._lock:
                        self.answered_bytes += len(passed)
        except OSError:
            pass
        finally:
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class Once:
    """A fault that happens once, when so many bytes have been answered since it was made."""

    def __init__(self, after_bytes: int, fault: Callable[[bytes], bytes | None]) -> None:
        self._left_bytes = after_bytes
        self._fault = fault
        self._lock = threading.Lock()
        self.happened = threading.Event()

    def __call__(self, content: bytes, before: int) -> bytes | None:
        with self._lock:
            if self.happened.is_set() or self._left_bytes > 0:
                self._left_bytes -= len(content)
                return content
            self.happened.set()
        return self._fault(content)


def cut(content: bytes) -> None:
    """End the connection."""


def spoil(content: bytes) -> bytes:
    """Flip a bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
