"""prometheus-client's files of workers, one per process and kind. Those of the dead are folded into one, or they would
grow in number with every worker that ends."""

from __future__ import annotations

import os
import re
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


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
