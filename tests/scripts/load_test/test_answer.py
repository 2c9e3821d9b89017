"""Answers are told from bytes, however the network has split them."""

from collections.abc import Iterator

import pytest

from statehouse.scripts.load_test.answer import MAX_HEAD_BYTES, Answer, AnswerReader
from statehouse.scripts.load_test.errors import AnswerSyntaxError

PLAIN = b"HTTP/1.1 200 OK\r\nX-Model-Version: 1.0\r\nContent-Length: 11\r\n\r\nhello\r\n\r\nyo"
CHUNKED = (
    b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\nx-model-version:2.0\r\n\r\n"
    b"5;of=five\r\nhello\r\nA\r\n0123\r\n6789\r\n0\r\nTrailer: yes\r\n\r\n"
)
ANSWERS = {
    "plain": (PLAIN, Answer(200, "1.0", True)),
    "chunked": (CHUNKED, Answer(503, "2.0", True)),
    "without a body": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Answer(200, None, True)),
    "of a kind that has no body": (b"HTTP/1.1 204 None\r\n\r\n", Answer(204, None, True)),
    "after an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, Answer(200, "1.0", True)),
    "the last one": (
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 1\r\n\r\nx",
        Answer(200, None, False),
    ),
    "of the old protocol": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", Answer(200, None, False)),
    "of the old protocol, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nx",
        Answer(200, None, True),
    ),
    "with an empty version": (
        b"HTTP/1.1 200 OK\r\nx-model-version: \r\ncontent-length: 0\r\n\r\n",
        Answer(200, None, True),
    ),
}


def splits(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


@pytest.mark.parametrize(("data", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_complete_with_its_last_byte_however_it_is_split(data: bytes, expected: Answer) -> None:
    reader = AnswerReader()  # one for all: it must be ready for the next answer
    for pieces in splits(data):
        *early, last = pieces
        assert [reader.feed(piece) for piece in early] == [None] * len(early)
        assert reader.feed(last) == expected
        assert not reader.has_begun


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\nx-model-version: 3\r\n\r\nabc") is None
    assert reader.feed(b"def") is None
    assert reader.close() == Answer(200, "3", False)


@pytest.mark.parametrize("part", [b"", PLAIN[:20], PLAIN[:-1], CHUNKED[:-1]])
def test_a_connection_that_ends_inside_an_answer_gives_none(part: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(part) is None
    assert reader.has_begun == bool(part)
    assert reader.close() is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP/1.1 status line"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "no HTTP/1.1 status line"),
        (b"HTTP/1.1 099 Low\r\n\r\n", "no HTTP/1.1 status line"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "content-length is b'-1'"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxx", "goes on after its 1 bytes"),
        (b"HTTP/1.1 204 None\r\n\r\nx", "goes on"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "chunk whose size is b'zz'"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n", "chunk whose size is b'-5'"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nx", "after its last chunk"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * (MAX_HEAD_BYTES + 1),
            "chunk without a size",
        ),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * MAX_HEAD_BYTES, "headers have more than 65536 bytes"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_it_is(data: bytes, words: str) -> None:
    with pytest.raises(AnswerSyntaxError, match=words):
        AnswerReader().feed(data)
