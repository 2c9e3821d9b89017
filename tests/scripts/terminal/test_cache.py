"""What `statehouse cache` prints."""

from pathlib import Path

import pytest

from statehouse.scripts.store.cache import Cache
from statehouse.scripts.store.eviction import CachedVersion, Room
from statehouse.scripts.terminal.cache import plain, print_cache

CACHE = Cache(Path("/var/cache/x"), 2_000_000_000)
USED, UNUSED = (
    CachedVersion(
        "s3://b", Path(f"/var/cache/x/stores/s/digits-1.{number}"), 5_000_000, 86_400.0, in_use=not number
    )
    for number in (0, 1)
)
ROOM = Room([UNUSED], 5_000_000)


def test_json_has_every_version_and_what_was_removed():
    assert plain(CACHE, [USED], 5_000_000, None) == {
        "folder": "/var/cache/x",
        "size_bytes": 5_000_000,
        "max_bytes": 2_000_000_000,
        "versions": [
            {
                "version": "digits-1.0",
                "store": "s3://b",
                "size_bytes": 5_000_000,
                "used": "1970-01-02T00:00:00+00:00",
                "in_use": True,
            }
        ],
    }
    told = plain(CACHE, [], 0, ROOM)
    assert (told["removed"], told["busy"], told["versions"]) == (["digits-1.1"], False, [])


@pytest.mark.parametrize(
    ("room", "first"),
    [
        (ROOM, "removed: digits-1.1"),
        (Room([], 5), "removed: nothing: all of it is in use"),
        (
            Room([], 5, busy=True),
            "Something is being fetched or published now: nothing was removed. Try again.",
        ),
        (None, "/var/cache/x: 10 MB of 2.0 GB"),
    ],
)
def test_people_are_told_what_was_removed_first(room, first, capsys):
    print_cache(CACHE, [USED, UNUSED], 10_000_000, room)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == first
    assert lines[-2].split() == ["digits-1.0", "5.0", "MB", "1970-01-02", "00:00", "yes", "s3://b"]
    assert lines[-1].split() == ["digits-1.1", "5.0", "MB", "1970-01-02", "00:00", "s3://b"]


def test_an_empty_cache_has_no_table(capsys):
    print_cache(CACHE, [], 0, None)
    assert len(capsys.readouterr().out.splitlines()) == 1
