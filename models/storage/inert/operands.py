"""The bytes of a pickle, taken piece by piece and never beyond their end."""

from __future__ import annotations

import mmap
import struct

MAX_NUMBER_BYTES = 1024  # of one integer: more digits than that Python itself refuses to write down

Bytes = bytes | mmap.mmap  # a pickle, or a file with one in it
_DOUBLE = struct.Struct(">d")


class DamagedPickleError(ValueError):
    """The bytes are no pickle, or one that nobody writes; the caller says of which file."""


class Operands:
    """A pickle's bytes and how far they have been read."""

    def __init__(self, data: Bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        start, end = self.position, self.position + count
        if count < 0 or end > len(self.data):
            raise DamagedPickleError(f"{count:,} bytes are expected at byte {start:,}, and it ends before")
        self.position = end
        return self.data[start:end]

    def number(self, width: int) -> int:
        """Return the next `width` bytes as an unsigned integer."""
        return int.from_bytes(self.take(width), "little")

    def signed(self, width: int) -> int:
        """Return the next `width` bytes as a signed integer."""
        return int.from_bytes(self.take(width), "little", signed=True)

    def counted(self, width: int) -> bytes:
        """Return as many bytes as the next `width` bytes say."""
        return self.take(self.number(width))

    def double(self) -> float:
        """Return the next 8 bytes as a float."""
        value: float = _DOUBLE.unpack(self.take(8))[0]
        return value

    def long(self, width: int) -> int:
        """Return an integer of as many bytes as the next `width` bytes say."""
        count = self.number(width)
        if count > MAX_NUMBER_BYTES:
            raise DamagedPickleError(f"an integer of {count:,} bytes; expected at most {MAX_NUMBER_BYTES:,}")
        return self.signed(count)

    def line(self) -> bytes:
        """Return the bytes up to the next end of a line, which is passed."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise DamagedPickleError(f"a line is expected at byte {self.position:,}, and it ends before")
        line = self.data[self.position : end]
        self.position = end + 1
        return line

    def text_line(self) -> str:
        """Return the next line as text."""
        return self.line().decode("utf-8")
