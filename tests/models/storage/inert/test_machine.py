"""Containers of a pickle: what they may hold, and what they refuse."""

from __future__ import annotations

import pickle

import pytest

from statehouse.models.storage.inert import machine
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.unpickler import Unpickler


def nested(levels: int) -> tuple[object, ...]:
    value: tuple[object, ...] = ()
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (nested(60), "a key has more than 1,000 parts"),  # its hash would take 2**60 steps
        ((1 << 61) - 1 << 200, "an integer of 261 bits is a key"),
    ],
)
def test_keys_that_take_long_to_hash_are_refused(key: object, expected: str) -> None:
    data = b"}(" + pickle.dumps(key, protocol=2)[2:-1] + b"K\x01u."
    with pytest.raises(DamagedPickleError, match=expected):
        Unpickler(data).load()


@pytest.mark.parametrize("key", [b"]", b"}", b"\x8f"])
def test_keys_that_change_are_refused(key: bytes) -> None:
    with pytest.raises(DamagedPickleError, match="is a key"):
        Unpickler(b"}" + key + b"Ns.").load()


@pytest.mark.parametrize(
    "damaged",
    [
        b".",
        b"0.",
        b"2.",
        b"\x85.",
        b"\x86.",
        b"e.",
        b"(e.",
        b"N(e.",
        b"N(u.",
        b"](\x90.",
        b"}(Nu.",
        b"}Ns.",
        b"h\x05.",
        b"q\x00.",
        b"Sx\n.",
        b"S'x\n.",
        b"X\xff\xff\xff\xffx.",
        b"T\xff\xff\xff\xffx.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffx.",
        b"I1_x\n.",
        b"F1..\n.",
        b"(\x91",
        b"g1\n.",
    ],
)
def test_what_no_pickler_writes_is_refused(damaged: bytes) -> None:
    with pytest.raises(DamagedPickleError):
        Unpickler(damaged).load()


def test_the_containers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_CONTAINERS", 3)
    assert Unpickler(b"]0]0].").load() == []
    with pytest.raises(DamagedPickleError, match="more than 3 containers"):
        Unpickler(b"]0]0]0].").load()


def test_memo_indices_take_no_memory() -> None:
    assert Unpickler(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.").load() is None
