"""What is removed from the cache, and what is not."""

import os

from tests.scripts.store.cached import ADDRESS, NOW, put, put_version, record_of

from statehouse.scripts.store.cache import Cache, hold
from statehouse.scripts.store.eviction import cached_versions, make_room, size_of


def test_the_longest_unused_go_first_until_there_is_room(cache):
    for number in range(4):
        put_version(cache, f"digits-1.{number}", bytes([number]) * 100, used=number + 1)
    room = make_room(cache, 200)
    assert [each.name for each in room.removed] == ["digits-1.0", "digits-1.1"]
    assert room.size_bytes == size_of(cache) == 200
    assert [each.name for each in cached_versions(cache)] == ["digits-1.3", "digits-1.2"]


def test_what_is_in_use_stays_whatever_it_takes(cache):
    folder = put_version(cache, "digits-1.0", b"x" * 100)
    held = hold(folder)
    [listed] = cached_versions(cache)
    assert (listed.store, listed.size_bytes, listed.in_use) == (ADDRESS, 100, True)
    assert make_room(cache, 0).removed == []
    assert size_of(cache) == 100
    os.close(held)
    assert len(make_room(cache, 0).removed) == 1
    assert size_of(cache) == 0


def test_files_of_a_version_that_stays_stay(cache):
    put_version(cache, "digits-1.0", b"shared" * 10, b"own", used=1)
    stays = put_version(cache, "digits-1.1", b"shared" * 10, b"other", used=2)
    assert [each.name for each in make_room(cache, 65).removed] == ["digits-1.0"]
    assert (stays / "file-0").read_bytes() == b"shared" * 10
    assert size_of(cache) == 65


def test_what_dead_processes_have_left_goes(cache):
    (cache.drafts / "digits-1.0-x").mkdir()
    put_version(cache, "digits-1.0", b"x")
    [store] = cache.stores.iterdir()
    (store / ".digits-1.1-y").mkdir()
    with cache.part(record_of(b"begun"), lambda text: None, NOW) as part:
        part.append(b"beg")
    put(cache, b"of no version")
    make_room(cache, 1000)
    assert list(cache.drafts.iterdir()) == []
    assert sorted(each.name for each in store.iterdir()) == ["address.txt", "digits-1.0"]
    assert size_of(cache) == 1 + 3  # what has come of a file is kept while there is room
    make_room(cache, 1)
    assert size_of(cache) == 1


def test_nothing_is_removed_while_somebody_fetches(cache):
    put_version(cache, "digits-1.0", b"x")
    with cache.shared():
        assert make_room(cache, 0).busy
    assert not make_room(cache, 0).busy


def test_a_cache_that_there_is_not_yet_has_nothing(tmp_path):
    cache = Cache(tmp_path / "absent", 1)
    assert size_of(cache) == 0
    assert cached_versions(cache) == []


def test_a_store_whose_address_is_lost_is_named_by_its_folder(cache):
    folder = put_version(cache, "digits-1.0", b"x")
    (folder.parent / "address.txt").unlink()
    [listed] = cached_versions(cache)
    assert (listed.store, listed.name) == (folder.parent.name, "digits-1.0")
