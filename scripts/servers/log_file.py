"""The file that all servers' lines go to, beside the deployment: bounded, and there when the server is not.

A line is a time, which of the servers says it, and what it says.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, get_args

Source = Literal["supervisor", "torchserve", "front", "worker"]
SOURCES: tuple[Source, ...] = get_args(Source)
MAX_FILE_BYTES = 8 << 20
KEPT_FILES = 3  # older ones


class LogLine(NamedTuple):
    """One line of the file; of one that is none of ours, the text alone."""

    time: str
    source: str
    text: str


def log_file_of(deployment_file: Path) -> Path:
    """Return where the log of a deployment's servers lies."""
    return deployment_file.with_suffix(".log")


def older_than(file: Path) -> list[Path]:
    """Return the files that ``file`` was before it was full, the latest first; some may not be there."""
    return [file.with_name(f"{file.name}.{number}") for number in range(1, KEPT_FILES + 1)]


class LogFile:
    """Takes lines. A disk that is full, or a folder that cannot be written, must not keep the server from serving."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def write(self, source: Source, text: str) -> None:
        """Append a line for each line of ``text``."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines = "".join(f"{time} {source} {line}\n" for line in text.split("\n"))
        with contextlib.suppress(OSError):
            self._append(lines.encode(errors="replace"))

    def _append(self, lines: bytes) -> None:
        if self._file is None:
            # For its owner alone: workers may print what clients sent.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._file.write(lines)
        if self._file.tell() >= MAX_FILE_BYTES:
            self.close()
            _make_room(self.path)

    def close(self) -> None:
        """Close the file; a line that comes later opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _make_room(file: Path) -> None:
    files = [file, *older_than(file)]
    for newer, older in reversed(list(itertools.pairwise(files))):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)


def read_line(line: str) -> LogLine:
    """Read one line of the file."""
    time, _, rest = line.partition(" ")
    source, _, text = rest.partition(" ")
    return LogLine(time, source, text) if source in SOURCES else LogLine("", "", line)


def last_lines(
    file: Path, count: int, is_wanted: Callable[[str], bool], *, until: int | None = None
) -> list[str]:
    """Return the last lines that are wanted, from the files before it too; at most so many.

    Of the file itself only the first ``until`` bytes are read, if that is given.
    """
    found: list[str] = []
    for each in (file, *older_than(file)):
        if len(found) >= count:
            break
        with contextlib.suppress(FileNotFoundError):
            content = each.read_bytes()[: until if each == file else None]
            found = list(filter(is_wanted, content.decode(errors="replace").split("\n")[:-1])) + found
    return found[max(len(found) - count, 0) :]


class Follower:
    """Reads what is appended to a file from now on, also when another takes its place or it is not there yet."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file = self._opened()
        self._rest = b""
        self.begins_at = 0 if self._file is None else self._file.seek(0, os.SEEK_END)

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that have come since the last call."""
        # Whether another has taken its place is asked first: then the old one is whole when it is read.
        is_over = self._file is None or self._is_another()
        if self._file is not None:
            yield from self._lines()
        if is_over:
            self.close()
            self._file = self._opened()
            if self._file is not None:
                yield from self._lines()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lines(self) -> Iterator[str]:
        assert self._file is not None  # noqa: S101 - whoever calls has looked
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")

    def _is_another(self) -> bool:
        assert self._file is not None  # noqa: S101 - whoever calls has looked
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        known = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino)

    def _opened(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None
