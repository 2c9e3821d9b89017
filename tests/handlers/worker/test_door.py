import contextlib
import os
import random
import stat
import time

import orjson
import pytest
from tests.support.served_door import Held, ServedDoor, post

from statehouse.handlers.request import Response
from statehouse.handlers.worker import door as door_module
from statehouse.handlers.worker.pulse import Beat

BIG = b"x" * 3_000_000
NONSENSE = int(os.environ.get("STATEHOUSE_FUZZ_REQUESTS", "300"))  # as `make fuzz` sets it


def problem(answer) -> tuple[str, int]:
    document = orjson.loads(answer.body)
    return document["type"].removeprefix("urn:statehouse:problem:"), document["status"]


def test_a_connection_is_kept_and_answered_again_and_again(tmp_path):
    with ServedDoor(tmp_path) as served:
        client = served.client()
        for number in range(20):
            answer = client.ask(b"%d" % number)
            assert (answer.status_line, answer.body) == ("OK", b"%d" % number)
            assert answer.headers["x-model-version"] == "1"
            assert "connection" not in answer.headers


def test_its_sockets_are_its_user_s_alone(tmp_path):
    with ServedDoor(tmp_path) as served:
        for path in served.files[:2]:
            status = path.stat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600


def test_what_waits_is_one_batch_and_no_more_than_a_batch(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow, batch_size=4) as served:
        first, others = served.client(), [served.client() for _ in range(6)]
        first.send(post(b"first"))
        assert slow.begun.wait(30)
        for number, each in enumerate(others):
            each.send(post(b"%d" % number))
        time.sleep(0.1)
        slow.gate.set()
        assert first.answer().body == b"first"
        assert [each.answer().body for each in others] == [b"%d" % number for number in range(6)]
        assert [len(batch) for batch in served.batches] == [1, 4, 2]


def test_who_has_gone_is_not_computed(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow, batch_size=1) as served:
        first, gone, last = (served.client() for _ in range(3))
        first.send(post(b"first"))
        assert slow.begun.wait(30)
        gone.send(post(b"gone"))
        last.send(post(b"last"))
        time.sleep(0.1)
        gone.socket.close()
        slow.gate.set()
        assert (first.answer().body, last.answer().body) == (b"first", b"last")
        assert [[bytes(each.body) for each in batch] for batch in served.batches] == [[b"first"], [b"last"]]


def test_it_bounds_how_many_wait_in_it_whatever_the_front_does(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow, batch_size=1) as served:
        clients = [served.client() for _ in range(80)]
        clients[0].send(post(b"first"))
        assert slow.begun.wait(30)
        for each in clients[1:]:
            each.send(post(b"more"))
        slow.gate.set()
        answers = [each.answer() for each in clients]
    refused = [each for each in answers if each.status_line != "OK"]
    assert 0 < len(refused) <= 79 - door_module.LEAST_READY
    assert {problem(each) for each in refused} == {("unavailable", 503)}
    assert {each.headers["retry-after"] for each in refused} == {"1"}


def test_who_has_gone_takes_no_place_of_those_who_wait(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow, batch_size=1) as served:
        first = served.client()
        first.send(post(b"first"))
        assert slow.begun.wait(30)
        for _ in range(door_module.LEAST_READY):
            gone = served.client()
            gone.send(post(b"gone"))
            gone.socket.close()
        last = served.client()
        last.send(post(b"last"))
        slow.gate.set()
        assert (first.answer().body, last.answer().body) == (b"first", b"last")
        assert served.door._waiting_count == 0


def test_what_is_past_its_deadline_is_told_so_and_not_computed(tmp_path):
    with ServedDoor(tmp_path, deadline_seconds=5) as served:
        now = time.time()
        time.sleep(0.01)
        fresh = served.client().ask(b"fresh", x_statehouse_arrival=str(int(time.time() * 1e6) - 500_000))
        assert fresh.body == b"fresh"
        late = served.client().ask(b"late", x_statehouse_arrival=str(int((now - 6) * 1e6)))
        # The door was opened less than 6 s ago: it knows of no step of the clock, so the stamp counts.
        assert problem(late) == ("unavailable", 503)
        assert late.headers["retry-after"] == "1"
        assert [[bytes(each.body) for each in batch] for batch in served.batches] == [[b"fresh"]]
        assert served.waits == [pytest.approx(0.5, abs=0.4)]


def test_a_large_answer_goes_out_as_it_is_read_while_others_are_answered(tmp_path):
    with ServedDoor(
        tmp_path, lambda r, w: [Response(200, BIG if x.body == b"big" else x.body) for x in r]
    ) as served:
        slow, quick = served.client(), served.client()
        slow.send(post(b"big"))
        time.sleep(0.2)
        for number in range(50):
            assert quick.ask(b"%d" % number).body == b"%d" % number
        assert slow.answer().body == BIG
        assert slow.ask(b"again").body == b"again"


def test_a_large_body_in_pieces_and_chunks(tmp_path):
    with ServedDoor(tmp_path) as served:
        client = served.client(large=True)
        request = post(BIG[:1_000_000])
        for begin in range(0, len(request), 70_001):
            client.send(request[begin : begin + 70_001])
        assert client.answer().body == BIG[:1_000_000]
        head = b"POST /v1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        client.send(head + b"4\r\nab")
        time.sleep(0.02)
        client.send(b"cd\r\n1;x=y\r\ne\r\n0\r\n\r\n")
        assert client.answer().body == b"abcde"
        assert served.batches[-1][0].form == "v1"


def test_what_is_too_large_is_refused_before_and_as_it_comes(tmp_path):
    with ServedDoor(tmp_path, max_body_bytes=1000) as served:
        declared = served.client(large=True)
        declared.send(post(b"", content_length="1001"))
        answer = declared.answer()
        assert problem(answer) == ("too-large", 413)
        assert answer.headers["connection"] == "close"
        assert declared.closed()
        chunked = served.client(large=True)
        chunked.send(
            b"POST /v2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001
        )
        assert problem(chunked.answer()) == ("too-large", 413)
        assert chunked.closed()
        assert served.client(large=True).ask(b"y" * 1000).body == b"y" * 1000
        assert len(served.batches) == 1


def test_memory_is_set_aside_for_each_large_body_and_the_next_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(door_module, "LARGE_BYTES", 1500)
    with ServedDoor(tmp_path, max_body_bytes=1000) as served:
        first, second, third = (served.client(large=True) for _ in range(3))
        first.send(post(b"1" * 1000)[:-900])
        second.send(post(b"2" * 1000)[:-900])
        time.sleep(0.2)
        second.send(b"2" * 900)  # nobody reads it yet
        time.sleep(0.2)
        assert served.batches == []
        assert third.ask(b"3" * 300).body == b"3" * 300  # there is room for it
        first.send(b"1" * 900)
        assert first.answer().body == b"1" * 1000
        assert second.answer().body == b"2" * 1000


def test_who_stops_sending_a_large_body_is_told_so_and_gives_its_memory_back(tmp_path, monkeypatch):
    monkeypatch.setattr(door_module, "LARGE_BYTES", 1000)
    monkeypatch.setattr(door_module, "SLOW_BODY_SECONDS", 0.3)
    with ServedDoor(tmp_path, max_body_bytes=1000) as served:
        stalled, waiting = served.client(large=True), served.client(large=True)
        stalled.send(post(b"1" * 1000)[:-10])
        time.sleep(0.1)
        waiting.send(post(b"2" * 1000)[:-10])
        assert problem(stalled.answer()) == ("request-timeout", 408)
        assert stalled.closed()
        waiting.send(b"2" * 10)
        assert waiting.answer().body == b"2" * 1000


def test_who_waits_to_be_asked_for_a_body_is(tmp_path):
    with ServedDoor(tmp_path) as served:
        client = served.client(large=True)
        client.send(post(b"hello", expect="100-continue")[:-5])
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.answer().body == b"hello"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /predictions HTTP/1.1\r\nhost: x\r\n\r\n",
        post(target="/predictions/digits"),
        post(target="/"),
        b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nhost : x\r\ncontent-length: 5\r\n\r\nhello",
        b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\nhello",
        b"POST /v1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1 HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 20_000,
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_the_front_never_sends_is_refused_and_ends_the_connection(tmp_path, sent):
    with ServedDoor(tmp_path) as served:
        client = served.client()
        client.send(sent)
        answer = client.answer()
        assert problem(answer) == ("bad-http", 400)
        assert answer.headers["connection"] == "close"
        assert client.closed()
        assert served.client().ask().body == b"hello"
        assert len(served.batches) == 1


def test_a_second_request_before_the_first_is_answered_ends_the_connection(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow) as served:
        client = served.client()
        client.send(post(b"one"))
        assert slow.begun.wait(30)
        client.send(post(b"two"))
        time.sleep(0.1)
        slow.gate.set()
        assert client.answer().body == b"one"
        assert client.closed()
        together = served.client()
        together.send(post(b"three") + post(b"four"))
        refused = together.answer()
        assert problem(refused) == ("bad-http", 400)
        assert "another one follows it before its answer" in orjson.loads(refused.body)["detail"]
        assert together.closed()


@pytest.mark.parametrize("head", [b"POST /v1 HTTP/1.0\r\n", b"POST /v1 HTTP/1.1\r\nconnection: close\r\n"])
def test_who_keeps_no_connection_is_told_that_it_ends(tmp_path, head):
    with ServedDoor(tmp_path) as served:
        client = served.client()
        client.send(head + b"content-length: 2\r\n\r\nhi")
        answer = client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hi", "close")
        assert client.closed()


def test_a_form_keeps_its_whole_type_and_any_other_type_is_bare(tmp_path):
    with ServedDoor(tmp_path) as served:
        client = served.client()
        client.ask(b"--x--", content_type='Multipart/Form-Data; boundary="x Y"')
        client.ask(b"--x--", content_type="multipart/mixed; boundary=x")
        client.ask(b"{}", content_type="Application/JSON; charset=utf-8")
        [form], [mixed], [plain] = served.batches
    assert (form.content_type, form.multipart_type) == ("", 'Multipart/Form-Data; boundary="x Y"')
    assert (mixed.content_type, mixed.multipart_type) == ("multipart/mixed", "")
    assert (plain.content_type, plain.multipart_type) == ("application/json", "")


def test_ids_come_back_in_refusals(tmp_path):
    with ServedDoor(tmp_path) as served:
        answer = served.client().ask(b"", target="/nowhere", x_request_id="abc-1")
        assert orjson.loads(answer.body)["request_id"] == "abc-1"


def test_its_pulse_says_idle_busy_and_how_many(tmp_path):
    slow = Held()
    with ServedDoor(tmp_path, slow) as served:
        first = Beat.read(served.files.pulse)
        assert first.busy_since_seconds is None
        deadline = time.monotonic() + 10
        while Beat.read(served.files.pulse).stamped_seconds == first.stamped_seconds:
            assert time.monotonic() < deadline, "an idle door does not stamp"
            time.sleep(0.05)
        client = served.client()
        client.send(post())
        assert slow.begun.wait(30)
        assert Beat.read(served.files.pulse).busy_since_seconds is not None
        slow.gate.set()
        client.answer()
        deadline = time.monotonic() + 10
        while Beat.read(served.files.pulse).busy_since_seconds is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert Beat.read(served.files.pulse).answered_requests == 1


def test_looks_of_a_checker_cost_nothing_and_leave_nothing(tmp_path):
    with ServedDoor(tmp_path) as served:
        for _ in range(300):
            served.client().socket.close()
        assert served.client().ask().body == b"hello"
        assert len(served.door._connections) < 10


def test_seeded_nonsense_never_gets_two_answers_nor_ends_the_door(tmp_path):
    """Requests cut, doubled, mixed and flipped: one answer at most, and whoever comes after is answered."""
    seed = random.Random(15)
    whole = [
        post(b"hello"),
        post(b"", content_length="0"),
        b"POST /v2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ]
    with ServedDoor(tmp_path, max_body_bytes=10_000) as served:
        answers = 0
        for _ in range(NONSENSE):
            sent = bytearray(seed.choice(whole))
            for _ in range(seed.randrange(4)):
                kind, place = seed.randrange(4), seed.randrange(len(sent))
                if kind == 0:
                    sent[place] = seed.randrange(256)
                elif kind == 1:
                    del sent[place : place + seed.randrange(1, 20)]
                elif kind == 2:
                    sent[place:place] = sent[seed.randrange(len(sent)) :][:20]
                else:
                    sent = sent[: place + 1]
                if not sent:
                    sent = bytearray(b"x")
            client = served.client()
            client.send(bytes(sent))
            client.socket.settimeout(0.05)
            got = b""
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                while data := client.socket.recv(1 << 16):
                    got += data
            assert got.count(b"HTTP/1.1 ") <= 1, bytes(sent)
            answers += got.startswith(b"HTTP/1.1 200")
            client.socket.close()
        assert served.client().ask().body == b"hello"
        assert NONSENSE / 10 < answers < NONSENSE
