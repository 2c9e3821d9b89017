"""What `statehouse cache` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from statehouse.scripts.terminal.console import out, say, size_text, width_of
from statehouse.scripts.terminal.tables import Column, table_lines

if TYPE_CHECKING:
    from statehouse.scripts.store.cache import Cache
    from statehouse.scripts.store.eviction import CachedVersion, Room

_COLUMNS = (
    *(Column("VERSION"), Column("SIZE", numeric=True), Column("USED", dispensable=1)),
    *(Column("IN USE"), Column("STORE", dispensable=2)),
)


def plain(cache: Cache, versions: list[CachedVersion], size_bytes: int, room: Room | None) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    told = {
        "folder": str(cache.folder),
        "size_bytes": size_bytes,
        "max_bytes": cache.max_bytes,
        "versions": [
            {
                "version": each.name,
                "store": each.store,
                "size_bytes": each.size_bytes,
                "used": _when(each.used),
                "in_use": each.in_use,
            }
            for each in versions
        ],
    }
    return told | ({"removed": [each.name for each in room.removed], "busy": room.busy} if room else {})


def print_cache(cache: Cache, versions: list[CachedVersion], size_bytes: int, room: Room | None) -> None:
    """Print what the cache holds, and what was removed from it."""
    if room is not None and room.busy:
        say("Something is being fetched or published now: nothing was removed. Try again.")
    elif room is not None:
        removed = ", ".join(each.name for each in room.removed) or "nothing: all of it is in use"
        say(f"removed: {removed}")
    say(f"{cache.folder}: {size_text(size_bytes)} of {size_text(cache.max_bytes)}")
    rows = [
        [
            each.name,
            size_text(each.size_bytes),
            _when(each.used)[:16].replace("T", " "),
            "yes" if each.in_use else "",
            each.store,
        ]
        for each in versions
    ]
    for line in table_lines(_COLUMNS, rows, width=width_of(out), headed=bool(rows)):
        out.print(line)


def _when(used: float) -> str:
    return datetime.fromtimestamp(used, UTC).isoformat(timespec="seconds")
