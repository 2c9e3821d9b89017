"""The cache alone: who may write, and what holds when somebody dies in between."""

import errno
import os
import subprocess
import sys
import threading

import pytest
from tests.scripts.store.cached import ADDRESS, NOW, put, put_version, record_of

from statehouse.scripts.errors import CacheError, TransferStoppedError
from statehouse.scripts.store.cache import Cache, is_held
from statehouse.scripts.store.eviction import make_room


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
        "import sys, threading; from pathlib import Path; from statehouse.scripts.store.cache import Cache, hold\n"
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
    holder.communicate()
    assert not is_held(folder)
    assert [each.name for each in make_room(cache, 0).removed] == ["digits-1.0"]


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
