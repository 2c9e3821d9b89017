"""The workers' own doors: each enters its version's slot in the front when it opens, and leaves it with its worker.

A worker that has proved itself makes three files, the last of which says that its door is open (`DoorFiles`). When the
process ends the kernel says so. One that neither ends nor answers is known by its pulse: what idles and does not stamp
leaves the slot until it does, and is killed when that takes long; so is what is busy with one batch beyond the
deadline, and what nobody can connect to any more. TorchServe starts another in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from statehouse.handlers.worker.door_files import DoorFiles
from statehouse.handlers.worker.pulse import Beat
from statehouse.scripts.errors import FrontError
from statehouse.scripts.servers.haproxy import Door, Front
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

LOOK_SECONDS = 0.02
# The time of a folder's last change has the clock's coarse grain: what changed so lately may change again unseen.
GRAIN_NS = 50_000_000
PULSE_SECONDS = 0.25
# Behind a worker so many batches wait in itself: enough that it never waits for the front, few when it dies.
BATCHES_AT_ONCE = 2
LEAST_LARGE_AT_ONCE = 16
GRACE_SECONDS = 1.0  # beyond the deadline
# Of the deadline, so long may a batch take before its worker is sent nothing more: it would be lost with it.
RESTING_SHARE = 0.8
# A worker that idles stamps four times a second. Who has not for so long gets no requests; and then it is killed.
SILENT_SECONDS, LONGEST_SILENCE_SECONDS = 1.0, 5.0
BEARABLE_SHARE = 0.8  # of the deadline may pass while a request waits
LEAST_BUSY_SECONDS = 0.05  # that a rate is measured in
TOLD_FROM_SHARE = 0.1  # by so much a bound has changed when the front is told: it writes a file each time
WORKERS_ENDED = "its workers ended, and are started again"
STANDS_STILL = "its worker stands still, and is started again if that goes on"

_PULSE_FILE = re.compile(r"(?P<prefix>.+)\.(?P<pid>\d+)\.pulse")


@dataclass
class OpenDoor:
    """One worker's door, in its version's slot."""

    loaded: LoadedVersion
    slot: int
    pid: int
    files: DoorFiles
    watched: int  # a descriptor of the process, readable when it has ended
    beat: Beat | None = None
    answers_per_second: float | None = None
    silent_seconds: float = 0.0  # as far as we were awake to see it
    in_slot: bool = False
    rests: bool = False
    killed: bool = False

    @property
    def worker(self) -> str:
        """What the front knows it by."""
        return f"{self.files.pulse.name.split('.')[0]}-{self.pid}"


class Doors:
    """All doors of one server. Versions are `expect`ed before their workers start, and `forget` when they are gone.

    Requests that name a version go to the one loading of it that was let through last: to its doors while it has some,
    else they wait for one. What is done for a change and what is done for doors that come and go takes turns.
    """

    def __init__(
        self,
        folder: Path,
        front: Front,
        *,
        request_timeout_seconds: int,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._front = front
        self._request_timeout_seconds = request_timeout_seconds
        self._say = say
        self._expected: dict[str, tuple[LoadedVersion, int]] = {}  # with its slot, by prefix
        self._open: dict[str, OpenDoor] = {}  # by the name of the pulse's file
        self._ended: set[str] = set()
        self._let_through: dict[tuple[str, str], LoadedVersion] = {}
        self._to_route: set[tuple[str, str]] = set()  # a door has opened, and the front may not know yet
        self._most_waiting: dict[int, int] = {}  # by slot, as the front was told
        self._felt = 0.0  # when the pulses were, last
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._loading_count = 0
        self._seen_ns: int | None = None
        self._troubles: list[str] = []

    def expect(self, loaded: LoadedVersion, slot: int) -> None:
        """Let the doors of a version's workers into ``slot`` as they open."""
        self._loading_count += 1
        loaded.slot = slot
        loaded.door_prefix = self._folder / f"{slot}-{self._loading_count}"
        self._expected[loaded.door_prefix.name] = loaded, slot

    async def forget(self, loaded: LoadedVersion) -> None:
        """Take all doors of a version out of its slot; it is idle, or what is in flight in it fails."""
        async with self._lock:
            prefix = loaded.door_prefix.name if loaded.door_prefix else ""
            _, slot = self._expected.pop(prefix, (loaded, None))
            if self._gets_requests(loaded):
                del self._let_through[loaded.name, loaded.version]
                # Its slot may be another's in a moment.
                if self._front.serves(loaded.name, loaded.version):
                    await self._front.hold(loaded.name, loaded.version)
            if slot is not None and self._most_waiting.pop(slot, None) is not None:
                await self._front.set_most_waiting(slot, None)
            for name, door in list(self._open.items()):
                if door.loaded is loaded:
                    await self._close(name, door)

    # -- whose requests go to them

    async def let_through(self, loaded: LoadedVersion) -> None:
        """Send requests that name a version to this loading of it; while it has no door they wait for one."""
        async with self._lock:
            self._let_through[loaded.name, loaded.version] = loaded
            await self._route(loaded)

    async def let_all_through(self) -> None:
        """Send requests where they went before all were put on hold, as far as somebody is there."""
        async with self._lock:
            for loaded in list(self._let_through.values()):
                if loaded.works and loaded.doors:
                    await self._route(loaded)

    async def refuse(self, loaded: LoadedVersion, *, retired: bool = False) -> None:
        """Refuse requests that name a version from now on, whatever door of it opens."""
        async with self._lock:
            if self._gets_requests(loaded):
                del self._let_through[loaded.name, loaded.version]
            await self._front.remove_route(loaded.name, loaded.version, retired=retired)

    def _gets_requests(self, loaded: LoadedVersion) -> bool:
        return self._let_through.get((loaded.name, loaded.version)) is loaded

    async def _route(self, loaded: LoadedVersion) -> None:
        if loaded.slot is None or not loaded.doors:
            await self._front.hold(loaded.name, loaded.version, why=WORKERS_ENDED)
            return
        digest = loaded.published.digest if loaded.published else ""
        await self._front.set_route(
            loaded.name, loaded.version, loaded.slot, load_id=loaded.load_id, digest=digest
        )

    # -- watching

    async def watch(self) -> None:
        """Keep the slots as the doors are, until cancelled; what cannot be done is said once, and tried again."""
        said = set[str]()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            self._troubles.clear()
            async with self._lock:
                await self._let_out_the_ended()
                with self._going_on():
                    await self._let_in_the_new()
                await self._route_to_the_new()
                if time.monotonic() >= self._felt + PULSE_SECONDS:
                    await self._feel_the_pulses()
            for trouble in self._troubles:
                if trouble not in said:
                    self._say(f"the doors of workers cannot be seen to now: {trouble}")
            said = set(self._troubles)
            if said:
                await asyncio.sleep(PULSE_SECONDS)

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """Go on past what cannot be done for one door: the others must not wait for it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - without these doors nothing is served, whatever this is
            self._troubles.append(repr(error))

    async def _let_in_the_new(self) -> None:
        # In this order: what changes while this looks is seen the next time.
        now_ns, changed_ns = time.time_ns(), self._folder.stat().st_mtime_ns
        if changed_ns == self._seen_ns:
            return
        troubles_before = len(self._troubles)
        for name in sorted(each.name for each in self._folder.iterdir()):
            found = _PULSE_FILE.fullmatch(name)
            if found is None or name in self._open:
                continue
            files = DoorFiles.of(str(self._folder / found["prefix"]), int(found["pid"]))
            with self._going_on():
                if found["prefix"] in self._expected:
                    await self._open_door(name, *self._expected[found["prefix"]], int(found["pid"]), files)
                elif _has_gone(int(found["pid"])):
                    self._unlink(files)
        settled = now_ns - changed_ns > GRAIN_NS and len(self._troubles) == troubles_before
        self._seen_ns = changed_ns if settled else None

    async def _open_door(
        self, name: str, loaded: LoadedVersion, slot: int, pid: int, files: DoorFiles
    ) -> None:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            self._unlink(files)
            return
        door = OpenDoor(loaded, slot, pid, files, watched)
        try:
            await self._enter(door)
        except Exception:
            os.close(watched)
            raise
        self._open[name] = door
        asyncio.get_running_loop().add_reader(watched, self._has_ended, name)

    async def _enter(self, door: OpenDoor) -> None:
        loaded, files = door.loaded, door.files
        at_once = BATCHES_AT_ONCE * loaded.settings.batch_size
        large_at_once = max(at_once, LEAST_LARGE_AT_ONCE)
        try:
            await self._front.add_door(
                door.slot,
                Door(door.worker, files.socket, files.large_socket, at_once, large_at_once),
            )
        except Exception:
            # It is tried again, which half a door would be in the way of.
            with contextlib.suppress(FrontError):
                await self._front.remove_door(door.slot, door.worker)
            raise
        door.in_slot = True
        loaded.doors.add(door.pid)
        loaded.count_doors()
        if self._gets_requests(loaded):
            self._to_route.add((loaded.name, loaded.version))

    async def _route_to_the_new(self) -> None:
        for key in sorted(self._to_route):
            with self._going_on():
                loaded = self._let_through.get(key)
                if loaded is not None and loaded.works:
                    await self._route(loaded)
                self._to_route.discard(key)

    def _has_ended(self, name: str) -> None:
        asyncio.get_running_loop().remove_reader(self._open[name].watched)
        self._ended.add(name)
        self._changed.set()

    async def _let_out_the_ended(self) -> None:
        for name in sorted(self._ended):
            with self._going_on():
                if name in self._open:
                    await self._leave(self._open[name], WORKERS_ENDED)
                    await self._close(name, self._open[name])
                self._ended.discard(name)

    async def _leave(self, door: OpenDoor, why: str) -> None:
        """Send it no more; where it was the last of its version, requests wait, and are told ``why`` in the end."""
        loaded = door.loaded
        loaded.doors.discard(door.pid)
        loaded.count_doors()
        serves = self._gets_requests(loaded) and self._front.serves(loaded.name, loaded.version)
        if serves and not loaded.doors:
            await self._front.hold(loaded.name, loaded.version, why=why)
        await self._front.remove_door(door.slot, door.worker)
        door.in_slot = False

    async def _close(self, name: str, door: OpenDoor) -> None:
        if door.in_slot:
            await self._front.remove_door(door.slot, door.worker)
        del self._open[name]
        self._ended.discard(name)
        door.loaded.doors.discard(door.pid)
        asyncio.get_running_loop().remove_reader(door.watched)
        os.close(door.watched)
        self._unlink(door.files)

    @staticmethod
    def _unlink(files: DoorFiles) -> None:
        for file in files:
            file.unlink(missing_ok=True)

    # -- pulses

    async def _feel_the_pulses(self) -> None:
        now = time.monotonic()
        since_last, self._felt = now - self._felt, now
        for door in list(self._open.values()):
            if not (door.files.socket.exists() and door.files.large_socket.exists()):
                with self._going_on():
                    self._kill(door, "the sockets of a worker's door were removed")
                continue
            try:
                beat = Beat.read(door.files.pulse)
            except (OSError, ValueError):  # it is being closed
                continue
            with self._going_on():
                self._kill_the_stuck(door, beat, now)
                await self._rest_the_slow(door, beat, now)
                await self._see_to_silence(door, beat, now, since_last)
            door.answers_per_second = _rate(door, beat) or door.answers_per_second
        for loaded in {id(door.loaded): door.loaded for door in self._open.values()}.values():
            with self._going_on():
                await self._bound_the_waiting(loaded)

    def _kill_the_stuck(self, door: OpenDoor, beat: Beat, now: float) -> None:
        since = beat.busy_since_seconds
        if since is not None and now - since >= self._request_timeout_seconds + GRACE_SECONDS:
            self._kill(
                door,
                f"a worker was busy with one batch for {now - since:.0f} s "
                "(limits.request_timeout_seconds in deployment.yaml)",
            )

    async def _rest_the_slow(self, door: OpenDoor, beat: Beat, now: float) -> None:
        """Send nothing more to a worker whose batch takes nearly until the deadline, until it has ended."""
        since = beat.busy_since_seconds
        is_slow = since is not None and now - since >= RESTING_SHARE * self._request_timeout_seconds
        if is_slow and not door.rests:
            await self._front.rest_door(door.slot, door.worker)
        elif door.rests and not is_slow:
            await self._front.wake_door(door.slot, door.worker)
        door.rests = is_slow

    async def _see_to_silence(self, door: OpenDoor, beat: Beat, now: float, since_last: float) -> None:
        """Let a worker that idles without a stamp out of its slot, and in again when it stamps."""
        if beat.busy_since_seconds is not None or now - beat.stamped_seconds < SILENT_SECONDS:
            door.silent_seconds = 0.0
            if not door.in_slot:
                await self._enter(door)
            return
        # Where we, or the whole machine, stood still, its silence says nothing.
        door.silent_seconds += since_last if since_last < 2 * PULSE_SECONDS else 0.0
        if door.in_slot and door.silent_seconds >= 2 * PULSE_SECONDS:
            await self._leave(door, STANDS_STILL)
        if door.silent_seconds >= LONGEST_SILENCE_SECONDS:
            self._kill(door, f"a worker has answered nothing for {now - beat.stamped_seconds:.0f} s")

    def _kill(self, door: OpenDoor, why: str) -> None:
        if door.killed:
            return
        door.killed = True
        self._say(f"{door.loaded.name} {door.loaded.version}: {why}: it is killed, and started again")
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(door.watched, signal.SIGKILL)

    async def _bound_the_waiting(self, loaded: LoadedVersion) -> None:
        """Let no more wait in a slot than its workers answer before the deadline, by what they answered of late."""
        rates = [
            door.answers_per_second
            for door in self._open.values()
            if door.loaded is loaded and door.answers_per_second is not None
        ]
        if loaded.slot is None or loaded.state is VersionState.STOPPED or not rates:
            return
        total = sum(rates) / len(rates) * len(loaded.doors)
        at_once = BATCHES_AT_ONCE * loaded.settings.batch_size * len(loaded.doors)
        most = at_once + int(total * self._request_timeout_seconds * BEARABLE_SHARE)
        told = self._most_waiting.get(loaded.slot)
        if told is None or abs(most - told) > TOLD_FROM_SHARE * told:
            await self._front.set_most_waiting(loaded.slot, most)
            self._most_waiting[loaded.slot] = loaded.most_waiting = most


def _has_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def _rate(door: OpenDoor, beat: Beat) -> float | None:
    """Answers per second of computing since the last measurement; None where there were too few to say."""
    before = door.beat
    if before is None:
        door.beat = beat
        return None
    busy_seconds = beat.busy_seconds - before.busy_seconds
    answered = beat.answered_requests - before.answered_requests
    if answered == 0 or busy_seconds < LEAST_BUSY_SECONDS:
        return None
    door.beat = beat
    return answered / busy_seconds
