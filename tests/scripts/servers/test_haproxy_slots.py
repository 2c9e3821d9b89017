"""Slots of the front and their doors: workers come, die, are drained and replaced; no request is sent twice."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.scripts.servers.test_haproxy import LARGE_BYTES, RunningFront, wait_for
from tests.support.fake_door import DoorProcess, FakeDoor

from statehouse.scripts.errors import FrontError, ServerEndedError
from statehouse.scripts.servers.haproxy import Door
from statehouse.scripts.servers.haproxy_statistics import DoorLoad

PATH = "/predictions/digits"
LOST, LATER = (502, "worker-ended"), (503, "unavailable")
ANSWERED = (200, "")


class Slotted(RunningFront):
    """A front of digits 1.0, in a slot whose doors are processes."""

    def __init__(self, folder: Path, *, request_timeout_seconds: int = 60, **settings: int) -> None:
        super().__init__(
            folder,
            request_timeout_seconds=request_timeout_seconds,
            max_request_bytes=2 * LARGE_BYTES,
            **settings,
        )
        self.folder = folder
        self.processes: list[DoorProcess] = []
        self.slot = self.slots["digits", "1.0"] = self.front.take_slot()
        self.route("digits", "1.0")
        self.do(self.front.set_default("digits", "1.0"))

    def begin(self, *, at_once: int, holds: bool = True) -> DoorProcess:
        """Start a door in a process, and put it in the slot."""
        described = self.describe_door(at_once)
        process = self.begin_alone(described, holds=holds)
        self.do(self.front.add_door(self.slot, described))
        return process

    def begin_alone(self, described: Door, *, holds: bool) -> DoorProcess:
        log = self.folder / f"{described.worker}.log"
        door = FakeDoor(described.worker, described.socket, described.large_socket, log=log, holds=holds)
        self.processes.append(DoorProcess(door))
        return self.processes[-1]

    def ask(self, name: str, body: bytes = b"held", path: str = PATH) -> tuple[int, str]:
        """Send one request on a connection of its own, which has been used before; return what came of it."""
        with httpx.Client(base_url=self.client.base_url, timeout=120, verify=False) as client:
            client.get("/v2/health/live")
            answer = client.post(path, content=body, headers={"x-request-id": name})
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
        kind = answer.json().get("type", "").removeprefix("urn:statehouse:problem:")
        return answer.status_code, kind

    def ask_many(self, pool: ThreadPoolExecutor, count: int, body: bytes = b"held") -> list[Future]:
        return [pool.submit(self.ask, f"r{number}", body) for number in range(count)]

    def waiting(self) -> int:
        return self.do(self.front.doors(self.slot)).waiting

    def wait_for_all(self, clients: int) -> int:
        """Wait until all clients' requests are at the first door or in its queue; return how many it has.

        As a rule it is full. Where the machine is busy, one of HAProxy's checks may come to nothing in its 100 ms: the
        door counts as down then, and as up again with the next, and a place of it stays free until a request ends.
        """

        def at_door() -> int | None:
            load = self.do(self.front.doors(self.slot))
            held = load.doors["w1"].in_flight
            return held if held and held + load.waiting >= clients else None

        wait_for(lambda: at_door() is not None)
        return at_door() or 0

    def read_by_doors(self) -> Counter[str]:
        """How often each request was read, by all doors together."""
        return Counter(name for process in self.processes for name in process.received())

    def stop(self) -> None:
        for process in self.processes:
            process.end()
        super().stop()


@contextmanager
def slotted(folder: Path, **settings: int) -> Iterator[Slotted]:
    running = Slotted(folder, **settings)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def slot(short_folder: Path) -> Iterator[Slotted]:
    with slotted(short_folder) as running:
        yield running


@pytest.mark.parametrize(
    ("at_once", "body"),
    [(4, b"held"), (32, b"held"), (4, b"held".ljust(30_100)), (4, b"held".ljust(LARGE_BYTES))],
    ids=["4", "32", "barely large", "large"],
)
def test_what_waits_outlives_the_last_door(slot: Slotted, at_once: int, body: bytes) -> None:
    """What the worker had is lost with it, and one that was on its way by then; nothing else, and nothing silently."""
    clients = 3 * at_once + 10
    dead = slot.begin(at_once=at_once)
    with ThreadPoolExecutor(clients + 2) as pool:
        used = [pool.submit(slot.ask, f"u{number}", b"wait 50".ljust(len(body))) for number in range(at_once)]
        assert {each.result() for each in used} == {ANSWERED}  # on a new connection it would be told anyway
        asked = slot.ask_many(pool, clients, body)
        held = slot.wait_for_all(clients)
        dead.kill()
        wait_for(lambda: sum(each.done() for each in asked) >= held)
        slot.do(slot.front.remove_door(slot.slot, "w1"))
        time.sleep(2)
        lost = Counter(each.result() for each in asked if each.done())
        assert lost[LOST] >= held
        assert lost.total() == lost[LOST] + lost[LATER] <= at_once + 2
        late = pool.submit(slot.ask, "late")  # who comes when there is none waits as well
        time.sleep(0.3)
        assert not late.done()
        slot.begin(at_once=at_once, holds=False)
        assert late.result() == ANSWERED
        assert Counter(each.result() for each in asked) == lost + Counter({ANSWERED: clients - lost.total()})
    assert set(slot.read_by_doors().values()) == {1}
    assert slot.do(slot.front.doors(slot.slot)).doors == {"w2": DoorLoad(up=True, in_flight=0)}


def test_nobody_waits_for_a_worker_longer_than_the_deadline(short_folder: Path) -> None:
    with slotted(short_folder, request_timeout_seconds=2) as slot:
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            assert Counter(each.result() for each in slot.ask_many(pool, 8)) == {LATER: 8}
        assert 1.5 < time.monotonic() - began < 3.5
        # Whoever kept a place while there was no worker has given it back.
        slot.begin(at_once=4, holds=False)
        assert slot.ask("after") == ANSWERED


def test_one_of_two_doors_is_killed_under_load(slot: Slotted) -> None:
    at_once, over = 8, threading.Event()
    doors = [slot.begin(at_once=at_once) for _ in range(2)]

    def go_on(client: int) -> Counter[tuple[int, str]]:
        found: Counter[tuple[int, str]] = Counter()
        with httpx.Client(base_url=slot.client.base_url, timeout=60) as http:
            while not over.is_set():
                name = {"x-request-id": f"c{client}-{found.total()}"}
                answer = http.post(PATH, content=b"wait 100", headers=name)
                kind = answer.json().get("type", "").removeprefix("urn:statehouse:problem:")
                found[answer.status_code, kind] += 1
        return found

    with ThreadPoolExecutor(24) as pool:
        going = [pool.submit(go_on, client) for client in range(24)]
        wait_for(lambda: slot.taken() > 100)
        doors[0].kill()
        at_kill = slot.taken()
        slot.do(slot.front.remove_door(slot.slot, "w1"))
        slot.begin(at_once=at_once)
        wait_for(lambda: slot.taken() > at_kill + 100)
        over.set()
        found = sum((each.result() for each in going), Counter())
    print(dict(found))
    assert found.keys() <= {ANSWERED, LOST, LATER}
    assert 0 < found[LOST] <= at_once + 2
    assert found[LATER] <= 4
    read = slot.read_by_doors()
    assert set(read.values()) == {1}
    assert found[ANSWERED] <= len(read) <= found[ANSWERED] + found[LOST]


def test_a_drained_door_answers_what_it_has_and_gets_no_more(slot: Slotted) -> None:
    slot.begin(at_once=64)
    with ThreadPoolExecutor(30) as pool:
        kept = slot.ask_many(pool, 5, b"wait 6000")
        kept += slot.ask_many(pool, 2, b"wait 6000".ljust(LARGE_BYTES))
        wait_for(lambda: slot.read_by_doors().total() == 7)
        slot.begin(at_once=64)
        slot.do(slot.front.rest_door(slot.slot, "w1"))
        wait_for(lambda: slot.status_of("w1").startswith("DRAIN"))
        new = [pool.submit(slot.ask, f"new{number}", b"wait 10") for number in range(20)]
        assert {each.result() for each in new} == {ANSWERED}
        assert not any(each.done() for each in kept)
        assert {each.result() for each in kept} == {ANSWERED}
    assert len(slot.processes[0].received()) == 7
    slot.do(slot.front.remove_door(slot.slot, "w1"))
    assert set(slot.do(slot.front.doors(slot.slot)).doors) == {"w2"}


def test_a_door_is_removed_at_once_whatever_it_holds(slot: Slotted) -> None:
    slot.begin(at_once=4)
    with ThreadPoolExecutor(3) as pool:
        asked = [*slot.ask_many(pool, 2), *slot.ask_many(pool, 1, b"held".ljust(LARGE_BYTES))]
        wait_for(lambda: slot.do(slot.front.doors(slot.slot)).doors["w1"].in_flight == 3)
        began = time.monotonic()
        slot.do(slot.front.remove_door(slot.slot, "w1"))
        assert {each.result() for each in asked} == {LOST}
        assert time.monotonic() - began < 2
    assert slot.do(slot.front.doors(slot.slot)).doors == {}
    slot.do(slot.front.remove_door(slot.slot, "w1"))  # nothing to do
    slot.do(slot.front.remove_door(slot.slot, "never"))


def test_a_front_that_was_killed_has_its_doors_again(slot: Slotted) -> None:
    slot.begin(at_once=4)
    slot.begin(at_once=4, holds=False)
    slot.do(slot.front.remove_door(slot.slot, "w1"))  # is not added again
    slot.serve("digits", "2.0")
    assert slot.ask("before") == ANSWERED
    slot.do(slot.front.process.stop(with_signal=9, grace_seconds=10))
    slot.front.hold_all()
    with ThreadPoolExecutor(4) as pool:
        slot.do(slot.front.start(slot.listener))
        waiting = slot.ask_many(pool, 4)
        wait_for(lambda: slot.do(slot.front.statistics()).connections == 4)
        assert not any(each.done() for each in waiting)
        slot.route("digits", "1.0")
        slot.route("digits", "2.0")
        assert {each.result() for each in waiting} == {ANSWERED}
    assert set(slot.do(slot.front.doors(slot.slot)).doors) == {"w2"}
    assert slot.ask("other", b"{}", f"{PATH}/2.0") == ANSWERED


def test_a_front_that_is_killed_while_doors_are_added_has_them_all(slot: Slotted) -> None:
    """An addition waits for the front, and is not made twice."""
    slot.do(slot.front.process.stop(with_signal=9, grace_seconds=10))
    described = slot.describe_door(4)
    slot.begin_alone(described, holds=False)
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(slot.do, slot.front.add_door(slot.slot, described))
        time.sleep(0.2)
        slot.do(slot.front.start(slot.listener))
        adding.result()
    assert set(slot.do(slot.front.doors(slot.slot)).doors) == {described.worker}
    assert slot.ask("one") == ANSWERED


def test_two_versions_in_two_slots_never_meet(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60, max_request_bytes=2 * LARGE_BYTES)
    for version in ("1.0", "2.0"):
        running.serve("digits", version, at_once=3)

    def ask(number: int) -> bool:
        version = ("1.0", "2.0")[number % 2]
        body = b"{}".ljust(LARGE_BYTES if number % 5 == 0 else 2)
        return running.post(f"{PATH}/{version}", content=body).json()["door"] == f"digits/{version}"

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(400)))
        # A door whose slot is given back and taken by another is not asked any more.
        slot = running.slots["digits", "2.0"]
        running.do(running.front.remove_route("digits", "2.0"))
        running.do(running.front.empty_slot(slot))
        running.do(running.front.give_back_slot(slot))
        gone = len(running.doors[1].received)
        running.serve("letters", "1.0", at_once=3)
        assert running.slots["letters", "1.0"] == slot
        names = list(pool.map(lambda _: running.post("/predictions/letters/1.0").json()["door"], range(50)))
        assert set(names) == {"letters/1.0"}
    assert len(running.doors[1].received) == gone
    running.stop()


def test_who_waits_in_a_slot_that_is_given_back_meets_no_other_version(slot: Slotted) -> None:
    dead = slot.begin(at_once=2)
    # Lost are what it held, and as many that took their places before the front knew: eight at most of two slots.
    bodies = [b"held"] * 8 + [b"held".ljust(LARGE_BYTES)] * 7
    with ThreadPoolExecutor(len(bodies)) as pool:
        asked = [pool.submit(slot.ask, f"r{number}", body) for number, body in enumerate(bodies)]
        held = slot.wait_for_all(len(bodies))
        dead.kill()
        wait_for(lambda: sum(each.done() for each in asked) >= held)
        time.sleep(1)
        left = sum(not each.done() for each in asked)
        assert left >= 5
        slot.do(slot.front.remove_route("digits", "1.0"))
        slot.do(slot.front.empty_slot(slot.slot))
        slot.do(slot.front.give_back_slot(slot.slot))
        other = slot.serve("letters", "1.0")
        slot.release()  # of what must not get there
        assert slot.slots["letters", "1.0"] == slot.slot
        found = Counter(each.result() for each in asked)
    assert found.keys() == {LOST, LATER}
    assert found[LATER] >= left - 2  # all but those that were asked for again just then
    assert slot.ask("letter", b"{}", "/predictions/letters/1.0") == ANSWERED
    assert [each.headers["x-request-id"] for each in other.received] == ["letter"]
    # The slot keeps those that wait for its own.
    slot.kill(other)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slot.ask, "waits", b"{}", "/predictions/letters/1.0")
        wait_for(lambda: slot.waiting() == 1)
        slot.serve("letters", "1.0")
        assert waiting.result() == ANSWERED


def test_a_door_that_is_replaced_is_asked_no_more_though_it_still_listens(slot: Slotted) -> None:
    """Connections to it are kept for what comes next; none of them is used for another's requests."""
    slot.begin(at_once=64, holds=False)
    with ThreadPoolExecutor(16) as pool:
        assert {each.result() for each in slot.ask_many(pool, 50)} == {ANSWERED}
        slot.begin(at_once=64, holds=False)
        slot.do(slot.front.remove_door(slot.slot, "w1"))
        before = len(slot.processes[0].received())
        assert {each.result() for each in slot.ask_many(pool, 50)} == {ANSWERED}
    assert len(slot.processes[0].received()) == before


def test_slots_end_and_the_error_says_what_to_do(short_folder: Path) -> None:
    running = RunningFront(short_folder, slots=8)
    front = running.front
    assert [front.take_slot() for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(
        FrontError, match=r"limits\.slots in deployment\.yaml is 8.*[Rr]etire a version, or raise"
    ):
        front.take_slot()
    running.do(front.give_back_slot(2))
    assert front.take_slot() == 2
    running.stop()


@pytest.mark.parametrize("worker", ["a;b", "a b", "", "ä", "a/b", "a\nb", "x" * 65])
def test_no_name_of_a_door_splits_a_command(worker: str) -> None:
    with pytest.raises(FrontError, match="cannot name a door"):
        Door(worker, Path("/tmp/a"), Path("/tmp/b"), 1, 1)


@pytest.mark.parametrize("path", ["/" + "x" * 97, "/tmp/a;b", "/tmp/a b", "/tmp/" + "ä" * 50])
def test_no_path_of_a_door_does(path: str) -> None:
    fine = Door("w", Path("/" + "x" * 96), Path("/b"), 1, 1)
    for field in ("socket", "large_socket"):
        with pytest.raises(FrontError, match="cannot be a door's socket"):
            replace(fine, **{field: Path(path)})


def test_a_door_of_a_taken_name_is_refused(slot: Slotted) -> None:
    slot.begin(at_once=4)
    with pytest.raises(FrontError, match="w1 has a door already"):
        slot.do(slot.front.add_door(slot.slot, slot.front._doors[slot.slot]["w1"]))


def test_totals_of_slots_only_grow(slot: Slotted) -> None:
    """A server's counts begin anew; those of a slot that was given back stay."""
    first = slot.begin(at_once=4)
    with ThreadPoolExecutor(2) as pool:
        asked = slot.ask_many(pool, 2)
        wait_for(lambda: slot.read_by_doors().total() == 2)
        first.kill()
        assert {each.result() for each in asked} == {LOST}
    before = slot.do(slot.front.statistics()).totals
    assert before["answer_errors"] >= 2
    slot.do(slot.front.empty_slot(slot.slot))
    slot.do(slot.front.give_back_slot(slot.slot))
    after = slot.do(slot.front.statistics()).totals
    assert all(after[name] >= count for name, count in before.items())


def test_whoever_waits_is_counted_in_a_slot_without_a_door_too(slot: Slotted) -> None:
    slot.begin(at_once=2)
    with ThreadPoolExecutor(10) as pool:
        asked = slot.ask_many(pool, 6)
        wait_for(lambda: slot.do(slot.front.statistics()).queued == 4)
        slot.processes[0].kill()
        wait_for(lambda: sum(each.done() for each in asked) >= 2)
        late = pool.submit(slot.ask, "late")

        def waiting() -> int:
            return sum(not each.done() for each in [*asked, late])

        wait_for(lambda: slot.do(slot.front.statistics()).queued == waiting() > 0)
        slot.begin(at_once=2, holds=False)
        assert late.result() == ANSWERED
    wait_for(lambda: slot.do(slot.front.statistics()).queued == 0)


def test_a_client_of_a_queue_that_hangs_up_frees_its_place(slot: Slotted) -> None:
    slot.begin(at_once=1)
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(slot.ask, "held")
        wait_for(lambda: slot.read_by_doors().total() == 1)
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{slot.client.base_url}{PATH}", content=b"gone", timeout=0.5)
        gone = time.monotonic()
        wait_for(lambda: slot.waiting() == 0)
        assert time.monotonic() - gone < 20  # long before its deadline
        slot.processes[0].kill()
        assert held.result() == LOST
    assert slot.read_by_doors().total() == 1


def test_an_upload_that_stalls_takes_no_place_among_small_ones(slot: Slotted) -> None:
    slot.begin(at_once=2)
    host, port = slot.listener.getsockname()
    import socket as sockets

    stalled = []
    for length in (2000, LARGE_BYTES):
        for _ in range(4):
            connection = sockets.create_connection((host, port))
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall(head.encode() + b" " * (length // 2))
            stalled.append(connection)
    time.sleep(0.3)
    assert slot.ask("small", b"{}") == ANSWERED
    for connection in stalled:
        connection.close()


def test_a_thousand_slots_cost_little(short_folder: Path) -> None:
    """Printed, not asserted: a machine's own."""
    for slots in (8, 2000, 4096):
        began = time.monotonic()
        running = RunningFront(Path(tempfile.mkdtemp(dir=short_folder)), slots=slots)
        took = time.monotonic() - began
        pid = running.front.process.pid
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kilobytes = int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
        for number in range(slots // 2):
            assert running.front.take_slot() == number
        running.do(running.front.statistics())
        looked = time.monotonic()
        running.do(running.front.statistics())
        milliseconds = (time.monotonic() - looked) * 1000
        print(
            f"{slots} backends: started in {took:.2f} s, {kilobytes / 1024:.0f} MB, read in {milliseconds:.0f} ms"
        )
        running.stop()


def test_a_server_that_is_kept_for_an_idle_connection_is_deleted_with_the_next(
    slot: Slotted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy refuses that for as long as a connection is attached: said here in its place, once."""
    one, two = (slot.begin(at_once=4, holds=False).door.name for _ in range(2))
    front, really_ask, refused = slot.front, slot.front._ask, []

    async def ask(command: str) -> str:
        if f"del server s{slot.slot}/{one}" in command and len(refused) < 1000:
            refused.append(command)
            return "Server still has connections attached to it, cannot remove it.\n"
        return await really_ask(command)

    monkeypatch.setattr(front, "_ask", ask)
    slot.do(front.remove_door(slot.slot, one))  # which does not wait for it, nor fail
    assert refused
    assert slot.ask("after") == ANSWERED
    monkeypatch.setattr(front, "_ask", really_ask)
    assert one in slot.do(front.doors(slot.slot)).doors
    slot.do(front.remove_door(slot.slot, two))
    assert not slot.do(front.doors(slot.slot)).doors


def test_a_route_that_was_refused_can_be_set_again(slot: Slotted, monkeypatch: pytest.MonkeyPatch) -> None:
    slot.begin(at_once=4, holds=False)
    front, really_ask = slot.front, slot.front._ask

    async def refuse(command: str) -> str:
        return "no\n" if "routes.map" in command else await really_ask(command)

    def set_route() -> None:
        slot.do(front.set_route("digits", "1.0", slot.slot, load_id="1.0-g1", digest="d" * 64))

    monkeypatch.setattr(front, "_ask", refuse)
    with pytest.raises(FrontError):
        set_route()
    assert slot.ask("before") == ANSWERED
    monkeypatch.setattr(front, "_ask", really_ask)
    set_route()
    assert f"digits/1.0 {slot.slot}|1.0-g1" in slot.do(front._ask(f"show map {front._maps['routes'].file}"))


def test_a_door_that_rests_gets_nothing_and_who_waits_is_answered_when_it_wakes(slot: Slotted) -> None:
    process = slot.begin(at_once=4, holds=False)
    assert slot.ask("before") == ANSWERED
    slot.do(slot.front.rest_door(slot.slot, process.door.name))
    with ThreadPoolExecutor(8) as pool:
        asked = slot.ask_many(pool, 8)
        wait_for(lambda: slot.waiting() == 8)
        assert set(process.received()) == {"before"}
        slot.do(slot.front.wake_door(slot.slot, process.door.name))
        assert [each.result() for each in asked] == [ANSWERED] * 8
    assert set(slot.read_by_doors().values()) == {1}


def test_a_front_that_ends_before_it_has_its_doors_is_not_waited_for(
    slot: Slotted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who has started it starts another: to wait for that would be to wait for oneself."""
    slot.begin(at_once=4, holds=False)
    front, really_tell = slot.front, slot.front._tell_door
    slot.do(front.process.stop(with_signal=9, grace_seconds=10))

    async def tell(number: int, door: Door) -> None:
        await front.process.stop(with_signal=9, grace_seconds=10)
        await really_tell(number, door)

    monkeypatch.setattr(front, "_tell_door", tell)
    with pytest.raises(ServerEndedError):
        slot.do(front.start(slot.listener))
    monkeypatch.setattr(front, "_tell_door", really_tell)
    slot.do(front.start(slot.listener))
    assert slot.ask("after") == ANSWERED
