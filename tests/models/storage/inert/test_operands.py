"""The bytes of a pickle are never taken beyond their end."""

from __future__ import annotations

import pytest

from statehouse.models.storage.inert.operands import DamagedPickleError, Operands


def test_what_is_taken_moves_on() -> None:
    operands = Operands(b"\x02ab\xff\xffline\nrest", 0)
    assert operands.counted(1) == b"ab"
    assert operands.signed(2) == -1
    assert operands.text_line() == "line"
    assert operands.take(4) == b"rest"
    assert operands.position == 14


@pytest.mark.parametrize(
    "take",
    [
        lambda operands: operands.take(4),
        lambda operands: operands.take(-1),
        lambda operands: operands.counted(1),
        lambda operands: operands.line(),
        lambda operands: operands.double(),
    ],
)
def test_nothing_is_taken_beyond_the_end(take) -> None:
    with pytest.raises(DamagedPickleError):
        take(Operands(b"\x09ab"))


def test_integers_are_bounded() -> None:
    assert Operands(b"\x02\x00\x01").long(1) == 256
    with pytest.raises(DamagedPickleError, match="an integer of 2,000,000 bytes"):
        Operands((2_000_000).to_bytes(4, "little") + bytes(2_000_000)).long(4)
