"""The cache alone: who may write, what is removed and what is not, whatever dies in between."""

import errno
import hashlib
import os
import subprocess
import sys
import threading

import pytest

from scripts.errors import CacheError, TransferStoppedError
from scripts.manifest import FileRecord
from scripts.store.cache import Cache, hold, is_held
from scripts.store.room import cached_versions, make_room, size_of

ADDRESS = "s3://bucket/models"
NOW = threading.Event()


def record_of(content):
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def put(cache, content):
    record = record_of(content)
    with cache.part(record, lambda text: None, NOW) as part:
        if part is not None:
            part.append(content)
            part.keep()
    return record


def put_version(cache, folder_name, *contents, used=None):
    files = {f"file-{number}": put(cache, content) for number, content in enumerate(contents)}
    folder = cache.assemble(ADDRESS, folder_name, files)
    if used is not None:
        os.utime(folder, (used, used))
    return folder


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "cache", 1000)
    with cache.shared():
        pass
    return cache


def test_only_its_owner_may_look_into_it(cache):
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_a_part_goes_on_where_it_ended_and_is_no_file_before_it_is_kept(cache):
    record = record_of(b"all of it")
    with cache.part(record, lambda text: None, NOW) as part:
        part.append(b"all ")
    assert not cache.has(record)
    with cache.part(record, lambda text: None, NOW) as part:
        assert part.size_bytes == 4
        part.append(b"of it")
        part.keep()
    assert (cache.files / record.sha256).read_bytes() == b"all of it"
    with cache.part(record, lambda text: None, NOW) as part:
        assert part is None


def test_a_part_that_is_longer_than_the_file_is_begun_again(cache):
    record = record_of(b"short")
    with cache.part(record, lambda text: None, NOW) as part:
        part.append(b"much longer")
    with cache.part(record, lambda text: None, NOW) as part:
        assert part.size_bytes == 0


def test_who_waits_for_anothers_transfer_can_be_stopped(cache):
    record, stop, told = record_of(b"content"), threading.Event(), []

    def tell(text):
        told.append(text)
        stop.set()

    with cache.part(record, tell, stop) as part:
        assert part is not None
        with pytest.raises(TransferStoppedError), cache.part(record, tell, stop):
            raise AssertionError("another has it")
    assert told == ["another process fetches the same; waiting for it"]


def test_a_process_that_is_killed_lets_go_of_everything(cache):
    folder = put_version(cache, "digits-1.0", b"x")
    code = (
        "import sys, threading; from pathlib import Path; from scripts.store.cache import Cache, hold\n"
        "cache = Cache(Path(sys.argv[1]), 1); held = hold(Path(sys.argv[2]))\n"
        "with cache.shared(): print('holds', flush=True); threading.Event().wait()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, cache.folder, folder], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "holds\n"
    assert is_held(folder)
    assert make_room(cache, 0).busy
    holder.kill()
    holder.wait()
    assert not is_held(folder)
    assert [each.name for each in make_room(cache, 0).removed] == ["digits-1.0"]


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


def test_a_version_that_another_was_quicker_to_make_is_taken(cache):
    first = put_version(cache, "digits-1.0", b"x")
    before = first.stat().st_ino
    assert put_version(cache, "digits-1.0", b"x") == first
    assert first.stat().st_ino == before
    assert [each.name for each in first.parent.iterdir() if each.name.startswith(".")] == []


def test_the_same_address_at_another_endpoint_is_another_store(cache, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    folders = set()
    for endpoint in ("http://127.0.0.1:9000", "http://127.0.0.1:9001"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        folders.add(cache.store_folder(ADDRESS))
    assert len(folders) == 2


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    unusable = Cache(tmp_path / "file", 1)
    with (
        pytest.raises(CacheError, match=r"Make room .*another folder in STATEHOUSE_CACHE"),
        unusable.shared(),
    ):
        raise AssertionError("it cannot be made")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CacheError, match="No space left on device"):
        put(cache, b"content")
