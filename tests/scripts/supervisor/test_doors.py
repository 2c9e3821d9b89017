"""Doors as their processes open and leave them, before a front that only notes what it is told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.scripts.supervisor.conftest import Servers

from statehouse.handlers.worker.door import DoorFiles
from statehouse.handlers.worker.pulse import Pulse
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import FrontError
from statehouse.scripts.servers.haproxy import Door
from statehouse.scripts.supervisor import doors as doors_module
from statehouse.scripts.supervisor.doors import WORKERS_ENDED, Doors
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

TIMEOUT_SECONDS = 10
NOTHING_NEW_SECONDS = 0.1  # several looks


class Front(Servers):
    """Refuses what it is told to refuse, and may be slow."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_pids: set[int] = set()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None  # before the next door is in

    async def add_door(self, slot: int, door: Door) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            await meanwhile()
        if int(door.worker.rpartition("-")[2]) in self.refused_pids:
            raise FrontError("no room")
        await super().add_door(slot, door)

    def of_slot(self, slot: int) -> set[int]:
        """The processes whose doors are in a slot."""
        return {int(worker.rpartition("-")[2]) for worker in self.slots[slot]}


class Worker:
    """A process, and the files of its door, which are stamped for it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "600"])
        self.stamps = False
        self.pid = self.process.pid

    def open(self, loaded: LoadedVersion) -> Worker:
        self.files = DoorFiles.of(str(loaded.door_prefix), self.pid)
        for file in self.files[:2]:
            file.touch()
        self.pulse = Pulse(self.files.pulse)
        self.stamps = True
        return self

    def answer(self, count: int, *, seconds: float) -> None:
        """Have answered so many requests more in so long."""
        self.pulse._busy_ns += round(seconds * 1e9)
        self.pulse._answered += count
        self.pulse.idle()

    def be_busy_since(self, seconds: float) -> None:
        """Have begun a batch so long ago."""
        self.stamps = False
        began_ns = time.monotonic_ns() - round(seconds * 1e9)
        self.pulse._stamps[:16] = began_ns.to_bytes(8, sys.byteorder) * 2

    def be_silent(self) -> None:
        """Have stamped for the last time when the machine started, idle."""
        self.stamps = False
        self.pulse._stamps[:16] = (1).to_bytes(8, sys.byteorder) + bytes(8)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Room:
    """Doors that are watched, with versions whose workers open them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.front = Front()
        self.said: list[str] = []
        self.doors = Doors(folder, self.front, request_timeout_seconds=TIMEOUT_SECONDS, say=self.said.append)
        self.workers: list[Worker] = []

    def version(
        self, version: str = "1.0", *, workers: int = 1, slot: int | None = None, generation: int = 0
    ) -> LoadedVersion:
        settings = VersionSettings(workers=workers, batch_size=8)
        loaded = LoadedVersion("net", version, settings, generation=generation, state=VersionState.READY)
        self.doors.expect(loaded, self.front.take_slot() if slot is None else slot)
        return loaded

    def worker(self, loaded: LoadedVersion | None = None) -> Worker:
        """A process, whose door is open if it is one of a version."""
        worker = Worker()
        self.workers.append(worker)
        return worker.open(loaded) if loaded else worker

    async def serving(self, **about: Any) -> tuple[LoadedVersion, Worker]:
        """A version that is let through to its one worker."""
        loaded = self.version(**about)
        worker = self.worker(loaded)
        await until(lambda: loaded.doors == {worker.pid})
        await self.doors.let_through(loaded)
        return loaded, worker

    async def _stamp(self) -> None:
        while True:
            for worker in self.workers:
                if worker.stamps:
                    worker.pulse.idle()
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Room]:
        watching = asyncio.create_task(self.doors.watch())
        stamping = asyncio.create_task(self._stamp())
        try:
            yield self
        finally:
            assert not watching.done()
            watching.cancel()
            stamping.cancel()
            for loaded in {id(door.loaded): door.loaded for door in self.doors._open.values()}.values():
                await self.doors.forget(loaded)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setattr(doors_module, "PULSE_SECONDS", 0.02)
    made = Room(tmp_path)
    descriptors = pidfds()
    yield made
    for worker in made.workers:
        worker.kill()
    assert pidfds() == descriptors


def pidfds() -> int:
    folder = Path("/proc/self/fd")
    return sum("pidfd" in str(each.readlink()) for each in folder.iterdir() if each.is_symlink())


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def run(room: Room, body: Callable[[], Awaitable[None]]) -> None:
    async def watched() -> None:
        async with room.watched():
            await body()

    asyncio.run(watched())


# -- in and out


def test_a_door_is_in_its_version_s_slot_when_its_last_file_is_there(room: Room) -> None:
    async def body() -> None:
        loaded, worker = room.version(workers=2), room.worker()
        files = DoorFiles.of(str(loaded.door_prefix), worker.pid)
        for file in files[:2]:
            file.touch()
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert room.front.said == []
        worker.open(loaded)
        await until(lambda: loaded.doors == {worker.pid})
        assert loaded.state is VersionState.DEGRADED
        [door] = room.front.slots[0].values()
        assert door == Door(f"0-1-{worker.pid}", files.socket, files.large_socket, 16, 16)
        second = room.worker(loaded)
        await until(lambda: room.front.of_slot(0) == {worker.pid, second.pid})
        await until(lambda: loaded.state is VersionState.READY)

    run(room, body)


def test_a_front_is_given_many_large_bodies_at_once_whatever_a_batch_is(room: Room) -> None:
    async def body() -> None:
        loaded = room.version()
        loaded.settings = VersionSettings(batch_size=1)
        room.worker(loaded)
        await until(lambda: len(loaded.doors) == 1)
        [door] = room.front.slots[0].values()
        assert (door.at_once, door.large_at_once) == (2, 16)

    run(room, body)


def test_each_version_has_its_own_doors_and_nobody_else_s_are_let_in(room: Room) -> None:
    async def body() -> None:
        one, other = room.version("1.0"), room.version("1.1")
        stranger = LoadedVersion("net", "1.2", one.settings, door_prefix=room.folder / "7-7")
        first, second, third = (room.worker(each) for each in (one, other, stranger))
        (room.folder / "no-door.pulse").touch()
        await until(lambda: bool(one.doors and other.doors))
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert (room.front.of_slot(0), room.front.of_slot(1)) == ({first.pid}, {second.pid})
        assert third.files.pulse.exists()  # it lives

    run(room, body)


def test_the_door_of_a_worker_that_is_killed_leaves_at_once_and_its_files_go(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        loaded = room.version(workers=2)
        one, other = room.worker(loaded), room.worker(loaded)
        await until(lambda: loaded.doors == {one.pid, other.pid})
        monkeypatch.setattr(doors_module, "LOOK_SECONDS", 3600)  # nobody has to look for that
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        one.kill()
        await until(lambda: room.front.of_slot(0) == {other.pid})
        await until(lambda: not any(file.exists() for file in one.files))
        assert all(file.exists() for file in other.files)
        assert (loaded.doors, loaded.state) == ({other.pid}, VersionState.DEGRADED)

    run(room, body)


def test_the_files_of_a_process_that_has_gone_are_removed_whosever_they_were(room: Room) -> None:
    async def body() -> None:
        loaded = room.version()
        stranger = LoadedVersion("net", "1.2", loaded.settings, door_prefix=room.folder / "7-7")
        for whose in (loaded, stranger):
            worker = room.worker()
            worker.kill()
            worker.open(whose)
        await until(lambda: not any(room.folder.iterdir()))
        assert (room.front.said, loaded.doors) == ([], set())

    run(room, body)


def test_doors_that_open_together_are_all_let_in(room: Room) -> None:
    async def body() -> None:
        loaded = room.version(workers=20)
        workers = [room.worker() for _ in range(20)]
        for worker in workers:
            worker.open(loaded)
        await until(lambda: room.front.of_slot(0) == {worker.pid for worker in workers})
        await until(lambda: loaded.state is VersionState.READY)

    run(room, body)


def test_a_door_that_opens_in_the_tick_of_a_look_that_takes_long_is_not_lost(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's time has a grain: it does not show what changed after the look, in the same tick."""
    monkeypatch.setattr(doors_module, "GRAIN_NS", 5_000_000_000)

    async def body() -> None:
        loaded = room.version(workers=2)
        late = room.worker()

        async def open_the_other() -> None:
            changed = room.folder.stat()
            late.open(loaded)
            os.utime(room.folder, ns=(changed.st_atime_ns, changed.st_mtime_ns))
            now_ns = time.time_ns
            monkeypatch.setattr(doors_module.time, "time_ns", lambda: now_ns() + 10_000_000_000)

        room.front.meanwhile = open_the_other
        first = room.worker(loaded)
        await until(lambda: loaded.doors == {first.pid, late.pid})

    run(room, body)


def test_a_folder_that_does_not_change_is_not_read(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    iterdir = Path.iterdir

    def read(folder: Path) -> Any:
        reads.append(folder)
        return iterdir(folder)

    async def body() -> None:
        loaded, _ = await room.serving()
        await asyncio.sleep(0.2)
        monkeypatch.setattr(Path, "iterdir", read)
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert reads == []
        room.worker(loaded)
        await until(lambda: len(loaded.doors) == 2)
        assert reads != []

    run(room, body)


def test_what_is_forgotten_leaves_and_nothing_of_it_comes_in_again(room: Room) -> None:
    async def body() -> None:
        loaded, worker = await room.serving(workers=2)
        other, _ = await room.serving(version="1.1")
        await room.doors.forget(loaded)
        assert (room.front.slots[0], loaded.doors) == ({}, set())
        assert not any(file.exists() for file in worker.files)
        room.worker(loaded)
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert room.front.slots[0] == {}
        assert len(room.front.slots[1]) == len(other.doors) == 1
        await room.doors.forget(loaded)  # which it is already

    run(room, body)


def test_a_door_that_opens_while_its_version_is_forgotten_does_not_stay(room: Room) -> None:
    async def body() -> None:
        loaded, goes_on = room.version(), asyncio.Event()
        added = asyncio.Event()

        async def wait() -> None:
            added.set()
            await goes_on.wait()

        room.front.meanwhile = wait
        room.worker(loaded)
        await added.wait()
        forgetting = asyncio.create_task(room.doors.forget(loaded))
        await asyncio.sleep(0)
        goes_on.set()
        await forgetting
        assert (room.front.slots[0], loaded.doors) == ({}, set())

    run(room, body)


# -- whose requests go there


def test_requests_wait_from_the_last_worker_s_end_until_there_is_one(room: Room) -> None:
    async def body() -> None:
        loaded, first = await room.serving(workers=2)
        second = room.worker(loaded)
        await until(lambda: len(loaded.doors) == 2)
        first.kill()
        await until(lambda: loaded.doors == {second.pid})
        assert room.front.serves("net", "1.0")
        second.kill()
        await until(lambda: not loaded.doors)
        assert ("hold", "net", "1.0", WORKERS_ENDED) in room.front.said
        assert not room.front.serves("net", "1.0")
        third = room.worker(loaded)
        await until(lambda: room.front.routes["net", "1.0"] == "1.0-g0")
        assert loaded.doors == {third.pid}

    run(room, body)


@pytest.mark.parametrize("state", [VersionState.LOADING, VersionState.FAILED, VersionState.STOPPED])
def test_nobody_is_sent_to_what_does_not_work(room: Room, state: VersionState) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        worker.kill()
        await until(lambda: not loaded.doors)
        loaded.state = state
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert not room.front.serves("net", "1.0")

    run(room, body)


def test_nobody_is_sent_to_what_has_not_been_let_through(room: Room) -> None:
    async def body() -> None:
        loaded = room.version()
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert room.front.routes == {}

    run(room, body)


def test_what_is_let_through_without_a_door_is_served_when_it_has_one(room: Room) -> None:
    async def body() -> None:
        await room.serving(version="1.0")
        fresh = room.version("1.0", generation=1)
        await room.doors.let_through(fresh)
        assert not room.front.serves("net", "1.0")
        room.worker(fresh)
        await until(lambda: room.front.routes["net", "1.0"] == "1.0-g1")

    run(room, body)


def test_workers_of_what_was_replaced_come_and_go_and_move_no_request(room: Room) -> None:
    async def body() -> None:
        old, worker = await room.serving()
        fresh, _ = await room.serving(generation=1)
        worker.kill()
        await until(lambda: not old.doors)
        room.worker(old)
        await until(lambda: bool(old.doors))
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert room.front.routes == {("net", "1.0"): "1.0-g1"}
        assert [said for said in room.front.said if said[0] in ("hold", "route")] == [
            ("route", "net", "1.0", "1.0-g0"),
            ("route", "net", "1.0", "1.0-g1"),
        ]
        await room.doors.forget(old)
        assert fresh.doors
        assert room.front.serves("net", "1.0")

    run(room, body)


def test_what_was_retired_is_not_let_through_by_a_worker_that_comes_back(room: Room) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        await room.doors.refuse(loaded, retired=True)
        worker.kill()
        await until(lambda: not loaded.doors)
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        await room.doors.let_all_through()
        assert room.front.routes == {}

    run(room, body)


def test_no_request_is_sent_to_a_slot_that_may_be_another_s(room: Room) -> None:
    async def body() -> None:
        loaded, _ = await room.serving()
        await room.doors.forget(loaded)
        assert room.front.routes == {("net", "1.0"): None}
        # Nor is one that waits for something else kept from that.
        await room.doors.let_all_through()
        assert room.front.routes == {("net", "1.0"): None}

    run(room, body)


# -- a front that refuses


@pytest.mark.parametrize("times", [1, 2, 4, 7])
def test_a_door_that_the_front_refuses_is_told_once_and_tried_until_it_is_in(room: Room, times: int) -> None:
    async def body() -> None:
        room.front.refusals = [FrontError("it is busy")] * times
        loaded = room.version()
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        assert room.said == ["the doors of workers cannot be seen to now: FrontError('it is busy')"]
        assert list(room.front.of_slot(0)) == list(loaded.doors)

    run(room, body)


def test_half_a_door_is_not_in_the_way_of_the_next_attempt(room: Room) -> None:
    async def body() -> None:
        room.front.refusals = [FrontError("it took the first of its two sockets")]
        loaded = room.version()
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        assert [said[0] for said in room.front.said] == ["no door", "door"]

    run(room, body)


def test_why_a_door_is_not_in_is_told_and_not_what_went_wrong_after_it(room: Room) -> None:
    async def body() -> None:
        room.front.refusals = [FrontError("no room"), FrontError("nothing to remove")]
        loaded = room.version()
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))
        assert room.said == ["the doors of workers cannot be seen to now: FrontError('no room')"]

    run(room, body)


def test_a_door_that_is_refused_keeps_no_other_out(room: Room) -> None:
    async def body() -> None:
        loaded = room.version(workers=2)
        refused, other = sorted((room.worker(), room.worker()), key=lambda worker: str(worker.pid))
        room.front.refused_pids = {refused.pid}
        refused.open(loaded)
        await until(lambda: bool(room.said))
        other.open(loaded)
        await until(lambda: loaded.doors == {other.pid})
        other.kill()
        await until(lambda: not loaded.doors)
        room.front.refused_pids = set()
        await until(lambda: loaded.doors == {refused.pid})
        assert len(room.said) == 1

    run(room, body)


def test_a_route_that_the_front_refuses_is_tried_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        worker.kill()
        await until(lambda: not loaded.doors)

        add_door = room.front.add_door

        async def add_and_refuse_what_comes_then(slot: int, door: Door) -> None:
            await add_door(slot, door)
            room.front.refusals = [FrontError("not now")] * 2

        monkeypatch.setattr(room.front, "add_door", add_and_refuse_what_comes_then)
        room.worker(loaded)
        await until(lambda: room.front.serves("net", "1.0"))
        assert room.said == ["the doors of workers cannot be seen to now: FrontError('not now')"]

    run(room, body)


def test_a_door_that_the_front_keeps_is_taken_out_later(room: Room) -> None:
    async def body() -> None:
        _, worker = await room.serving()
        room.front.refusals = [FrontError("it keeps it")] * 3
        worker.kill()
        await until(lambda: not room.front.slots[0])
        await until(lambda: not worker.files.pulse.exists())
        assert not room.front.serves("net", "1.0")
        assert room.said == ["the doors of workers cannot be seen to now: FrontError('it keeps it')"]

    run(room, body)


def test_trouble_that_has_passed_is_told_when_it_comes_back(room: Room) -> None:
    async def body() -> None:
        for _ in range(2):
            room.folder.rename(room.folder.with_name("away"))
            told = len(room.said)
            await until(lambda told=told: len(room.said) > told)
            await asyncio.sleep(NOTHING_NEW_SECONDS)
            room.folder.with_name("away").rename(room.folder)
            await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert len(room.said) == 2
        loaded = room.version()
        room.worker(loaded)
        await until(lambda: bool(loaded.doors))

    run(room, body)


# -- pulses


def test_a_worker_that_is_busy_beyond_the_deadline_is_killed_and_that_is_said(room: Room) -> None:
    async def body() -> None:
        loaded = room.version(workers=2)
        stuck, computes = room.worker(loaded), room.worker(loaded)
        await until(lambda: len(loaded.doors) == 2)
        computes.be_busy_since(TIMEOUT_SECONDS + doors_module.GRACE_SECONDS - 5)
        stuck.be_busy_since(TIMEOUT_SECONDS + doors_module.GRACE_SECONDS + 0.5)
        await until(lambda: loaded.doors == {computes.pid})
        assert stuck.process.wait(5) == -signal.SIGKILL
        assert computes.process.poll() is None
        [said] = room.said
        assert re.fullmatch(
            r"net 1\.0: a worker was busy with one batch for 1\d s \(limits\.request_timeout_seconds in "
            r"deployment\.yaml\): it is killed, and started again",
            said,
        )

    run(room, body)


def test_one_whose_batch_takes_nearly_until_the_deadline_gets_nothing_more_until_it_has_ended(
    room: Room,
) -> None:
    def told(what: str) -> bool:
        return any(said[0] == what for said in room.front.said)

    async def body() -> None:
        loaded, worker = await room.serving()
        worker.be_busy_since(TIMEOUT_SECONDS * doors_module.RESTING_SHARE - 2)
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert not told("rest")
        worker.be_busy_since(TIMEOUT_SECONDS * doors_module.RESTING_SHARE + 0.1)
        await until(lambda: told("rest"))
        assert not told("wake")
        assert loaded.doors == {worker.pid}  # what waits in its slot waits on
        worker.answer(1, seconds=1.0)
        await until(lambda: told("wake"))
        assert [said[0] for said in room.front.said if said[0] in ("rest", "wake")] == ["rest", "wake"]

    run(room, body)


def test_one_that_stands_still_leaves_until_it_stamps_again(room: Room) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        worker.be_silent()
        await until(lambda: not loaded.doors)
        assert ("hold", "net", "1.0", doors_module.STANDS_STILL) in room.front.said
        assert (room.front.slots[0], worker.process.poll()) == ({}, None)
        worker.stamps = True
        await until(lambda: room.front.serves("net", "1.0"))
        assert room.front.of_slot(0) == loaded.doors == {worker.pid}
        assert room.said == []

    run(room, body)


def test_one_that_stands_still_for_long_is_killed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors_module, "LONGEST_SILENCE_SECONDS", 0.2)

    async def body() -> None:
        _, worker = await room.serving()
        worker.be_silent()
        assert await asyncio.to_thread(worker.process.wait, 5) == -signal.SIGKILL
        await until(lambda: not worker.files.pulse.exists())
        [said] = room.said
        assert "a worker has answered nothing for" in said

    run(room, body)


def test_one_whose_sockets_were_removed_is_killed(room: Room) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        worker.files.large_socket.unlink()
        await until(lambda: not loaded.doors)
        assert worker.process.wait(5) == -signal.SIGKILL
        assert room.said == [
            "net 1.0: the sockets of a worker's door were removed: it is killed, and started again"
        ]

    run(room, body)


def test_a_kill_is_said_once_however_long_the_end_takes(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(doors_module.signal, "pidfd_send_signal", lambda fd, which: signals.append(which))

    async def body() -> None:
        _, worker = await room.serving()
        worker.be_busy_since(60)
        await until(lambda: bool(signals))
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert (signals, len(room.said)) == ([signal.SIGKILL], 1)

    run(room, body)


def test_a_pulse_that_cannot_be_read_is_no_reason_to_end_its_worker(room: Room) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        worker.files.pulse.write_bytes(b"?")
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        worker.files.pulse.unlink()
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert (loaded.doors, room.said) == ({worker.pid}, [])

    run(room, body)


def bounds(room: Room) -> list[tuple[int, int | None]]:
    return [said[1:] for said in room.front.said if said[0] == "most waiting"]


def bound(answers_per_second: float, workers: int = 1) -> int:
    """Two batches of 8 at each worker, and what all answer in 0.8 of the deadline."""
    return workers * (16 + round(answers_per_second * TIMEOUT_SECONDS * 0.8))


async def measured(room: Room, worker: Worker, count: int, *, seconds: float = 1.0) -> None:
    """Let a worker answer so many in so long, and wait until that is known."""
    [door] = [door for door in room.doors._open.values() if door.pid == worker.pid]
    await until(lambda: door.beat is not None)
    worker.answer(count, seconds=seconds)
    await until(lambda: door.answers_per_second == pytest.approx(count / seconds))


def test_no_more_may_wait_than_are_answered_in_time(room: Room) -> None:
    async def body() -> None:
        _, worker = await room.serving()
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert bounds(room) == []  # nothing is known
        await measured(room, worker, 50, seconds=0.5)
        await until(lambda: bounds(room) == [(0, bound(100))])

    run(room, body)


def test_the_front_is_told_only_of_what_is_a_tenth_more_or_less(room: Room) -> None:
    async def body() -> None:
        _, worker = await room.serving()
        for answers in (100, 109, 111, 102, 90):
            await measured(room, worker, answers)
            await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert bounds(room) == [(0, bound(100)), (0, bound(111)), (0, bound(90))]

    run(room, body)


def test_what_one_worker_answers_the_others_are_thought_to_answer_too(room: Room) -> None:
    async def body() -> None:
        loaded, one = await room.serving(workers=2)
        await measured(room, one, 100)
        other = room.worker(loaded)
        await until(lambda: bounds(room)[-1:] == [(0, bound(100, workers=2))])
        await measured(room, other, 200)
        await until(lambda: bounds(room)[-1:] == [(0, bound(150, workers=2))])
        one.kill()
        await until(lambda: bounds(room)[-1:] == [(0, bound(200))])

    run(room, body)


@pytest.mark.parametrize(("count", "seconds"), [(0, 1.0), (5, 0.04)])
def test_of_too_little_no_rate_is_made(room: Room, count: int, seconds: float) -> None:
    async def body() -> None:
        _, worker = await room.serving()
        [door] = room.doors._open.values()
        await until(lambda: door.beat is not None)
        worker.answer(count, seconds=seconds)
        await asyncio.sleep(NOTHING_NEW_SECONDS)
        assert (door.answers_per_second, bounds(room)) == (None, [])

    run(room, body)


@pytest.mark.parametrize("workers_ended", [False, True])
def test_who_has_a_slot_next_begins_without_a_bound(room: Room, workers_ended: bool) -> None:
    async def body() -> None:
        loaded, worker = await room.serving()
        await measured(room, worker, 100)
        await until(lambda: len(bounds(room)) == 1)
        if workers_ended:
            worker.kill()
            await until(lambda: not loaded.doors)
        await room.doors.forget(loaded)
        assert bounds(room)[-1] == (0, None)
        fresh, second = await room.serving(slot=0, generation=1)
        await measured(room, second, 100)  # the same as before is told again
        await until(lambda: bounds(room)[-1] == (0, bound(100)))
        assert len(fresh.doors) == 1

    run(room, body)
