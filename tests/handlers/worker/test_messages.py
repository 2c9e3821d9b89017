import socket
import struct
import threading
from dataclasses import replace

import pytest
from conftest import Sent, encode_batch

from statehouse.handlers.request import Request, Response
from statehouse.handlers.worker import messages
from statehouse.handlers.worker.messages import Inbox, Outbox

JSON = "application/json"


def posted(body, **headers):
    every = {"host": "x", "content-type": JSON, "content-length": str(len(body)), **headers}
    return Sent([("body", JSON, body)], every)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Inbox(theirs)


def read(ours, inbox, *requests, piece=2**16):
    message = encode_batch(requests)

    def send():
        for begin in range(0, len(message), piece):
            ours.sendall(message[begin : begin + piece])

    sender = threading.Thread(target=send)
    sender.start()
    assert inbox.next_command() == b"I"
    batch = inbox.read_batch()
    sender.join()
    assert batch.identifier_texts() == [f"request-{index}" for index in range(len(requests))]
    return batch.requests


@pytest.mark.parametrize("piece", [1, 7, 2**16])
def test_requests_differ_though_their_heads_are_alike(pair, piece):
    bodies = [b"1", b"22", b"3" * 12_345, b""]
    for _ in range(2):
        requests = read(*pair, *(posted(body) for body in bodies), piece=piece)
        assert requests == [Request(body, JSON) for body in bodies]


def test_a_head_that_differs_anywhere_is_read_anew(pair):
    alike = read(*pair, posted(b"1"), posted(b"1"))
    changed = read(
        *pair,
        posted(b"1", url_path="v2"),
        posted(b"1", **{"Content-Encoding": "gzip"}),
        posted(b"1", **{"x-statehouse-uncounted": "1"}),
        posted(b"1", **{"inference-header-content-length": "1"}),
        posted(b"1", **{"inference-header-content-length": "2"}),
        posted(b"1", **{"x-statehouse-timing": "yes"}),
        posted(b"1", **{"x-statehouse-timing": "yes"}),
        posted(b"1"),
    )
    assert alike == [Request(b"1", JSON)] * 2
    one = alike[0]
    assert changed == [
        replace(one, form="v2"),
        replace(one, content_encoding="gzip"),
        replace(one, counted=False),
        replace(one, inference_header_length="1"),
        replace(one, inference_header_length="2"),
        replace(one, timed=True),
        replace(one, timed=True),
        one,
    ]


def test_another_parameter_after_a_known_head_is_not_lost(pair):
    known = posted(b"1")
    several = Sent(
        [*known.parameters, ("more", "", b"2")], {"content-type": "multipart/form-data; boundary=x"}
    )
    read(*pair, known)
    [request] = read(*pair, Sent(several.parameters, several.headers))
    assert {name: part.body for name, part in request.parts.items()} == {"body": b"1", "more": b"2"}
    [request] = read(*pair, Sent(several.parameters, known.headers))
    assert (request.body, request.parts) == (b"1", None)


def test_room_for_a_large_batch_is_given_back(pair, monkeypatch):
    monkeypatch.setattr(messages, "BUFFER_BYTES", 1024)
    monkeypatch.setattr(messages, "KEPT_BYTES", 4096)
    ours, inbox = pair
    large = b"x" * 100_000
    assert read(ours, inbox, posted(large))[0].body == large
    assert len(inbox._buffer) >= len(large)
    assert read(ours, inbox, posted(b"1"))[0].body == b"1"
    assert len(inbox._buffer) == 1024


def test_the_other_side_s_leaving_ends_the_process(pair):
    ours, inbox = pair
    ours.sendall(b"I\0\0")
    ours.close()
    assert inbox.next_command() == b"I"
    with pytest.raises(SystemExit) as caught:
        inbox.read_batch()
    assert caught.value.code == 0


def test_torchserve_s_own_functions_read_on_from_the_same_bytes(pair):
    ours, inbox = pair
    ours.sendall(b"Labc")
    assert inbox.next_command() == b"L"
    assert (inbox.recv(1), inbox.recv(2)) == (b"L", b"ab")
    ours.sendall(b"de")
    assert (inbox.recv(9), inbox.recv(9)) == (b"c", b"de")


def test_what_is_remembered_is_bounded(pair):
    outbox = Outbox()
    for status_text in range(1000):
        outbox.encode([b""], [Response(200, b"", headers={"X": str(status_text)})])
    assert len(outbox._blocks) <= messages.MAX_BLOCKS
    for index in range(50):
        read(*pair, posted(b"1", **{"x-other": str(index)}))
    assert len(pair[1]._known) == messages.MAX_KNOWN


def test_answers_without_requests_are_refused():
    with pytest.raises(ValueError):
        Outbox().encode([struct.pack("!i", 0)], [])
