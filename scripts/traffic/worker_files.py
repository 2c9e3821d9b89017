"""prometheus-client's files of workers, one per process and kind. Those of the dead are folded into one, or they would
grow in number with every worker that ends."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict

FOLDED = "folded"
_File: Any = mmap_dict.MmapedDict  # which has no types
_FILE = re.compile(r"(?P<kind>counter|histogram|summary|gauge_[a-z]+)_(?P<pid>\d+)\.db")


def fold_dead(files: Iterable[Path]) -> None:
    """Add what dead workers have counted to their folder's folded files, and drop their gauges.

    Nobody may read meanwhile.
    """
    dead: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        found = _FILE.fullmatch(file.name)
        if found is None or _lives(int(found["pid"])):
            continue
        if found["kind"].startswith("gauge"):
            file.unlink(missing_ok=True)
        else:
            dead[file.with_name(f"{found['kind']}_{FOLDED}.db")].append(file)
    for folded, parts in dead.items():
        _fold(folded, parts)


def _fold(folded: Path, parts: list[Path]) -> None:
    try:
        _make_room(folded, parts)
    except OSError:  # a full disk: they are kept as they are, and folded when there is room
        return
    sums: dict[str, float] = defaultdict(float)
    for part in parts:
        for key, value, *_ in _File.read_all_values_from_file(str(part)):
            sums[key] += value
    target = _File(str(folded))
    for key, value in sums.items():
        target.write_value(key, target.read_value(key)[0] + value, 0.0)
    target.close()
    for part in parts:
        part.unlink()


def _make_room(folded: Path, parts: list[Path]) -> None:
    """Allocate what the sums can take at most: to write into a map that the disk has no room for ends the process."""
    is_new = not folded.exists()
    used_bytes = 8 + sum(_used_bytes(each) for each in (folded, *parts))
    with folded.open("ab") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, used_bytes)
        except OSError:
            if is_new:  # of no bytes it could not be read
                folded.unlink()
            raise


def _used_bytes(file: Path) -> int:
    """As the file itself says, in its first four bytes."""
    try:
        with file.open("rb") as content:
            return int.from_bytes(content.read(4), sys.byteorder)
    except FileNotFoundError:
        return 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, which has the number now
        return True
    return True
