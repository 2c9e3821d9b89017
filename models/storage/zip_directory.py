"""The directory of a zip archive, read by us alone: where each record's bytes are.

torch's reader and Python's disagree on archives that nobody writes: names that differ by case, records of zip64 that
are elsewhere. So one reading serves for checking and for the bytes, and it takes only what leaves no doubt: each part
is exactly where the next says that it ends, and each record's own header says what the directory says.
"""

from __future__ import annotations

import codecs
import itertools
import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from statehouse.models.errors import CheckpointUnreadableError, listed

MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
MAX_LISTED = 20  # problems

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_END_MARK, _END_64_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_MARK, _HEADER_MARK = b"PK\x01\x02", b"PK\x03\x04"
_MAX_COMMENT_BYTES = 0xFFFF
_IN_64, _IN_64_SHORT = 0xFFFFFFFF, 0xFFFF  # instead of a number that is written as one of zip64
_EXTRA_64 = 1
_FROM_OLD = codecs.getdecoder("cp437")  # looked up once: Python imports a codec when it is first used
_ENCRYPTED, _SIZES_FOLLOW, _IS_UTF_8 = 0x1, 0x8, 0x800


@dataclass(frozen=True, slots=True)
class ZipRecord:
    """A record of an archive; its bytes are `size` from `start` of the file, if it is stored as it is."""

    name: str
    start: int  # in the file; 0 where its own header is not what the directory says
    size: int
    stored_size: int
    crc: int
    is_stored: bool = True
    is_encrypted: bool = False
    problem: str | None = None
    header_at: int = 0


class _MisplacedError(ValueError):
    """The archive has a part elsewhere than it says."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a file that is an archive by itself; `length` None: up to the end of the file."""

    start: int = 0
    length: int | None = None


class _Archive:
    """The bytes of an archive, by their places in it."""

    def __init__(self, file: BinaryIO, extent: Extent) -> None:
        self.descriptor = file.fileno()
        self.start = extent.start
        left = max(0, os.fstat(self.descriptor).st_size - extent.start)
        self.size = left if extent.length is None else min(left, extent.length)

    def read(self, length: int, position: int) -> bytes:
        """Return bytes from `position` on, fewer where the archive ends."""
        return os.pread(self.descriptor, max(0, min(length, self.size - position)), self.start + position)


WHOLE_FILE = Extent()


def read_directory(path: Path, extent: Extent = WHOLE_FILE) -> list[ZipRecord]:
    """Return the records of the archive at `path`, in the order of the directory; `extent` where it is a part of it.

    Raises:
        CheckpointUnreadableError: it is cut short or damaged, or its parts do not fit together.
    """
    try:
        with path.open("rb") as file:
            archive = _Archive(file, extent)
            size = archive.size
            start, directory, count = _directory(archive, size)
            records = [_with_start(archive, entry, start) for entry in _entries(directory)]
    except (_MisplacedError, struct.error, UnicodeDecodeError, OSError) as error:
        raise CheckpointUnreadableError(
            f"{path}: is cut short or damaged ({error}); copy or download it again"
        ) from error
    problems = [*_doubled(records), *(each.problem for each in records if each.problem), *_overlaps(records)]
    if sum(record.stored_size for record in records) > size:
        problems.insert(0, "its records declare more bytes than the file has")
    if count != len(records):
        problems.append(f"its directory has {len(records):,} records; said are {count:,}")
    if problems:
        raise CheckpointUnreadableError(
            listed(f"{path}: is no sound torch.save file:", problems[:MAX_LISTED])
        )
    return [replace(record, start=extent.start + record.start) for record in records]


def _directory(archive: _Archive, size: int) -> tuple[int, bytes, int]:
    """Return where the directory begins, its bytes, and how many records it is said to have."""
    tail_at = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    tail = archive.read(size - tail_at, tail_at)
    found = tail.rfind(_END_MARK)
    if found < 0:
        raise _MisplacedError("it has no end of a zip archive")
    end_at = tail_at + found
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(tail, found)
    if end_at + _END.size + comment != size or disk or first_disk or here != count:
        raise _MisplacedError("its end is not that of one zip archive")
    stop, said = end_at, (count, length, start)
    locator = archive.read(_LOCATOR_64.size, max(0, end_at - _LOCATOR_64.size))
    if locator.startswith(_LOCATOR_MARK) or _IN_64 in (length, start) or count == _IN_64_SHORT:
        stop, wide = _end_64(archive, locator, end_at - _LOCATOR_64.size)
        limits = (_IN_64_SHORT, _IN_64, _IN_64)
        if any(short not in (limit, long) for short, limit, long in zip(said, limits, wide, strict=True)):
            raise _MisplacedError("its two ends say different things")
        count, length, start = wide
    if start + length != stop or length > MAX_DIRECTORY_BYTES:
        raise _MisplacedError(
            f"its directory is said to be {length:,} bytes at {start:,}, and ends at {stop:,}"
        )
    return start, archive.read(length, start), count


def _end_64(archive: _Archive, locator: bytes, locator_at: int) -> tuple[int, tuple[int, int, int]]:
    mark, disk, end_at, disks = _LOCATOR_64.unpack(locator)
    if mark != _LOCATOR_MARK or disk or disks > 1 or end_at > locator_at:
        raise _MisplacedError("its end of zip64 is not where it should be")
    fields = _END_64.unpack(archive.read(_END_64.size, end_at))
    mark, size, _, _, disk, first_disk, here, count, length, start = fields
    if mark != _END_64_MARK or disk or first_disk or here != count or end_at + 12 + size != locator_at:
        raise _MisplacedError("its end of zip64 is not where it should be")
    return end_at, (count, length, start)


def _entries(directory: bytes) -> Iterator[tuple[ZipRecord, bytes]]:
    """Yield each record as the directory has it, and its name as it is written there."""
    position = 0
    while position < len(directory):
        fields = _ENTRY.unpack_from(directory, position)
        mark, _, _, flags, method, _, _, crc, stored, size, *lengths, disk, _, _, header_at = fields
        if mark != _ENTRY_MARK or disk:
            raise _MisplacedError("its directory is damaged")
        name_length, extra_length, comment_length = lengths
        position += _ENTRY.size
        name = directory[position : position + name_length]
        extra = directory[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length + comment_length
        size, stored, header_at = _wide(extra, (size, stored, header_at))
        record = ZipRecord(
            name.decode("utf-8") if flags & _IS_UTF_8 else _FROM_OLD(name)[0],
            0,
            size,
            stored,
            crc,
            is_stored=method == 0 and stored == size,
            is_encrypted=bool(flags & _ENCRYPTED),
            header_at=header_at,
        )
        yield record, name
    if position != len(directory):
        raise _MisplacedError("its directory is damaged")


def _wide(extra: bytes, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers, those that do not fit 32 bits from the extra field of zip64."""
    if _IN_64 not in numbers:
        return numbers
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == _EXTRA_64:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            return tuple(next(wide, _IN_64) if number == _IN_64 else number for number in numbers)
        position += 4 + length
    return numbers


def _with_start(archive: _Archive, entry: tuple[ZipRecord, bytes], directory_at: int) -> ZipRecord:
    """Return the record with the place of its bytes, once its own header says the same as the directory."""
    record, name = entry
    shown = ascii(record.name[:80])
    if record.header_at + _HEADER.size + record.stored_size > directory_at:
        return replace(record, problem=f"record {shown} is said to lie outside of its archive")
    header = archive.read(_HEADER.size + len(name), record.header_at)
    mark, _, flags, _, _, _, crc, stored, size, name_length, extra_length = _HEADER.unpack_from(header)
    if mark != _HEADER_MARK or header[_HEADER.size :] != name or name_length != len(name) or b"\0" in name:
        return replace(record, problem=f"record {shown} is called otherwise where it begins")
    extra = archive.read(extra_length, record.header_at + _HEADER.size + name_length)
    wide = _wide(extra, (size, stored))
    if not _is_same((crc, *wide), (record.crc, record.size, record.stored_size), flags):
        return replace(record, problem=f"record {shown} has another size or checksum where it begins")
    start = record.header_at + _HEADER.size + name_length + extra_length
    if start + record.stored_size > directory_at:
        return replace(record, problem=f"record {shown} is said to lie outside of its archive")
    return replace(record, start=start)


def _is_same(own: tuple[int, ...], said: tuple[int, ...], flags: int) -> bool:
    """Whether a record's own header has what the directory says, or leaves it to what follows its bytes."""
    follows = bool(flags & _SIZES_FOLLOW)
    return all(
        each == wanted or (follows and each in (0, _IN_64)) for each, wanted in zip(own, said, strict=True)
    )


def _doubled(records: list[ZipRecord]) -> list[str]:
    """Say which names are there twice, or differ from another by case alone."""
    names = Counter(record.name for record in records)
    folded = Counter(name.casefold() for name in names)
    problems = [f"record {name[:80]!a} is there {count} times" for name, count in names.items() if count > 1]
    return problems + [
        f"record {name[:80]!a} is there again, in other letters"
        for name in names
        if folded[name.casefold()] > 1
    ]


def _overlaps(records: list[ZipRecord]) -> list[str]:
    sound = (record for record in records if not record.problem)
    whole = sorted(sound, key=lambda record: record.header_at)
    return [
        f"record {later.name[:80]!a} begins inside of {earlier.name[:80]!a}"
        for earlier, later in itertools.pairwise(whole)
        if later.header_at < earlier.start + earlier.stored_size
    ]
