"""Versions in a real S3 server, and all that happens on the way to it and from it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.object_store import (
    ACCESS_KEY,
    BUCKET,
    READER_ACCESS_KEY,
    READER_SECRET_KEY,
    Once,
    cut,
    forget_connections,
    spoil,
)

from statehouse.scripts.errors import (
    StoreAwayError,
    StoreRefusedError,
    TransferStoppedError,
    VersionExistsError,
    VersionFolderError,
    VersionNotFoundError,
)
from statehouse.scripts.serve import deployment_to_serve
from statehouse.scripts.store import fetch as fetching
from statehouse.scripts.store import objects
from statehouse.scripts.store.cache import Cache
from statehouse.scripts.store.remote import RemoteStore

MB = 1 << 20
BIG = os.urandom(9 * MB)
MIDDLE = 4 * MB


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What waits for a store to come back does so for less long."""
    for module in (objects, fetching):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)


@pytest.fixture
def as_user(proxy, monkeypatch):
    """Return a function that gives the environment other credentials: s3fs knows those of before."""

    def become(access_key, secret_key):
        forget_connections()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)

    yield become
    forget_connections()


def objects_of(weed, root):
    found = weed.files.find(root)
    return sorted(name.removeprefix(f"{root}/") for name in found if name != root)


def parts_of(store):
    return [file for file in store._cache.files.iterdir() if file.suffix]


# -- there and back


def test_what_is_published_is_fetched_into_another_empty_cache(make_store, publish_bytes, weed, root):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    store = make_store("other")
    assert not store.has("digits", "1.0")
    version = store.obtain("digits", "1.0")
    assert version.checkpoint_path.read_bytes() == BIG
    assert set(store.verify(version)) == {"checkpoint.pt", "golden.json", "version.json"}
    [head] = [key for key in objects_of(weed, root) if key.endswith("published.json")]
    assert head == "digits-1.0/published.json"
    assert len(objects_of(weed, root)) == 4


def test_who_published_has_it_already(make_store, publish_bytes, proxy):
    store = make_store()
    publish_bytes(store)
    proxy.go_away()
    assert store.obtain("digits", "1.0").checkpoint_path.read_bytes() == b"tensors"


def test_files_that_versions_share_are_fetched_once(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"), "1.0", BIG)
    publish_bytes(make_store("publisher"), "1.1", BIG)
    store = make_store()
    first = store.obtain("digits", "1.0")
    before = proxy.answered_bytes
    second = store.obtain("digits", "1.1")
    assert proxy.answered_bytes - before < len(BIG) // 4
    assert first.checkpoint_path.stat().st_ino == second.checkpoint_path.stat().st_ino


def test_scan_lists_what_is_published_and_not_what_is_only_begun(make_store, publish_bytes, weed, root):
    store = make_store()
    assert store.scan().versions == []
    for version in ("1.9", "1.10"):
        publish_bytes(store, version)
    weed.files.pipe_file(f"{root}/digits-2.0/0123/checkpoint.pt", b"begun")
    weed.files.pipe_file(f"{root}/digits-3.0/published.json", b"{}")
    listing = store.scan()
    assert [(each.name, each.version) for each in listing.versions] == [("digits", "1.9"), ("digits", "1.10")]
    assert "digits-3.0: published.json" in str(listing.refused[0])


def test_a_version_that_is_not_there_is_told_with_those_that_are(make_store, publish_bytes):
    store = make_store()
    publish_bytes(store)
    with pytest.raises(VersionNotFoundError, match=r"no version 2\.0 of 'digits'.*it has digits-1\.0"):
        store.obtain("digits", "2.0")
    assert store.find("digits", "2.0") is None
    assert store.find("digits", "1.0").version == "1.0"


def test_a_deployment_is_made_of_what_is_published(make_store, publish_bytes, root, tmp_path):
    for version in ("1.9", "1.10"):
        publish_bytes(make_store(), version)
    made = deployment_to_serve(tmp_path / "deployment.yaml", print, f"s3://{root}/")
    assert (made.model_store, made.models["digits"].default) == (f"s3://{root}", "1.10")


# -- publishing


def test_of_two_publishers_at_once_exactly_one_wins(make_store, publish_bytes, weed, root):
    both = threading.Barrier(2)

    def publish(number):
        store = make_store(f"cache-{number}")
        create = store._objects.create

        def create_together(key, content):
            if key.endswith("published.json"):
                both.wait(timeout=60)
            return create(key, content)

        store._objects.create = create_together
        try:
            publish_bytes(store, "1.0", f"tensors of {number}".encode(), by=f"-{number}")
        except VersionExistsError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor() as pool:
        outcomes = sorted(pool.map(publish, (1, 2)), key=lambda outcome: outcome != "won")
    assert outcomes[0] == "won"
    assert "was published by another meanwhile, with digest" in outcomes[1]
    assert len(objects_of(weed, root)) == 4  # nothing of the other is left
    reader = make_store("reader")
    reader.verify(reader.obtain("digits", "1.0"))


def test_the_same_published_twice_at_once_is_no_error(make_store, publish_bytes, weed, root):
    first, second = make_store("first"), make_store("second")
    publish_bytes(first, by="-1")
    publish_bytes(second, by="-2")  # it has not looked whether it is there
    assert len(objects_of(weed, root)) == 4


def test_an_answer_that_is_lost_after_the_head_was_written_is_no_failure(
    make_store, publish_bytes, proxy, weed, root
):
    store = make_store()
    create = store._objects.create

    def create_unheard(key, content):
        if key.endswith("published.json"):
            proxy.fault = Once(0, cut)
        return create(key, content)

    store._objects.create = create_unheard
    publish_bytes(store)
    assert proxy.fault.happened.is_set()
    assert "digits-1.0/published.json" in objects_of(weed, root)


def test_an_interrupted_upload_is_not_seen_and_the_next_one_goes_on(
    make_store, publish_bytes, proxy, weed, root
):
    big = BIG * 3  # in parts
    store = make_store()
    sent = []

    def go_away_soon(content, before):
        sent.append(len(content))
        return None if sum(sent) > 12 * MB else content

    proxy.request_fault = go_away_soon
    with pytest.raises(StoreAwayError):
        publish_bytes(store, checkpoint=big)
    proxy.request_fault = lambda content, before: content
    assert not [key for key in objects_of(weed, root) if key.endswith("published.json")]
    assert store.scan().versions == []
    publish_bytes(store, checkpoint=big, by="-again")
    assert make_store("reader").obtain("digits", "1.0").checkpoint_path.read_bytes() == big
    unfinished = weed.files.call_s3("list_multipart_uploads", Bucket=BUCKET, Prefix=root.partition("/")[2])
    assert not unfinished.get("Uploads")


def test_bytes_that_are_spoilt_on_the_way_up_are_not_published(make_store, publish_bytes, proxy):
    proxy.request_fault = Once(MIDDLE, spoil)
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    assert proxy.request_fault.happened.is_set()
    assert make_store().obtain("digits", "1.0").checkpoint_path.read_bytes() == BIG


def test_files_that_an_earlier_upload_has_brought_are_not_sent_again(
    make_store, publish_bytes, proxy, weed, root
):
    store = make_store()

    def no_head(key, content):
        raise StoreAwayError("away")

    create, store._objects.create = store._objects.create, no_head
    store._objects.refuse_unwritable = lambda: None
    with pytest.raises(StoreAwayError):
        publish_bytes(store, checkpoint=BIG)
    assert len(objects_of(weed, root)) == 3
    store._objects.create = create
    sent = []
    proxy.request_fault = lambda content, before: (sent.append(len(content)), content)[1]
    publish_bytes(store, checkpoint=BIG, by="-again")
    assert sum(sent) < len(BIG) // 4


def test_a_store_that_does_not_keep_the_condition_is_refused(make_store, publish_bytes, proxy, weed, root):
    def without_condition(content, before):
        if not content.startswith(b"HTTP/1.1 412"):
            return content
        return b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "0"\r\n\r\n'

    proxy.fault = without_condition
    with pytest.raises(StoreRefusedError, match="writes over what is there although it is asked not to"):
        publish_bytes(make_store())
    assert objects_of(weed, root) == []


def test_who_may_only_read_is_told_before_anything_is_done(make_store, publish_bytes, as_user):
    publish_bytes(make_store())
    as_user(READER_ACCESS_KEY, READER_SECRET_KEY)
    reader = make_store("reader")
    assert reader.obtain("digits", "1.0").version == "1.0"
    with pytest.raises(StoreRefusedError, match=r"refuses to let us create.*Credentials come from"):
        publish_bytes(reader, "1.1")


def test_wrong_credentials_are_told_without_them(make_store, as_user):
    as_user(ACCESS_KEY, "not-the-secret-key")
    with pytest.raises(StoreRefusedError) as refused:
        make_store().obtain("digits", "1.0")
    assert "not-the-secret-key" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_told(make_store, proxy, tmp_path):
    with pytest.raises(StoreRefusedError, match="there is no such bucket"):
        RemoteStore("s3://no-such-bucket/models", Cache(tmp_path / "c", 1)).obtain("digits", "1.0")


# -- fetching


def test_a_connection_that_is_cut_is_gone_on_with_from_there(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    told = []
    proxy.fault, proxy.answered_bytes = Once(MIDDLE, cut), 0
    version = make_store().obtain("digits", "1.0", told.append)
    assert proxy.fault.happened.is_set()
    assert version.checkpoint_path.read_bytes() == BIG
    assert proxy.answered_bytes < 2 * len(BIG)


def test_a_transfer_that_was_stopped_is_gone_on_with_by_the_next(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    stop = threading.Event()

    def stop_there(content):
        stop.set()
        return content

    proxy.fault = Once(MIDDLE, stop_there)
    with pytest.raises(TransferStoppedError):
        make_store().obtain("digits", "1.0", stop=stop)
    [part] = parts_of(make_store())
    kept = part.stat().st_size
    assert 0 < kept < len(BIG)
    assert not make_store().has("digits", "1.0")
    proxy.answered_bytes = 0
    assert make_store().obtain("digits", "1.0").checkpoint_path.read_bytes() == BIG
    assert proxy.answered_bytes < len(BIG) - kept + MB
    assert parts_of(make_store()) == []


def test_a_connection_that_stalls_is_given_up_and_tried_again(make_store, publish_bytes, proxy, monkeypatch):
    monkeypatch.setattr(objects, "STALL_SECONDS", 0.5)
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    released = threading.Event()

    def stall(content):
        released.wait(60)
        return content

    proxy.fault = Once(MIDDLE, stall)
    try:
        assert make_store().obtain("digits", "1.0").checkpoint_path.read_bytes() == BIG
        assert proxy.fault.happened.is_set()
    finally:
        released.set()


def test_bytes_that_were_spoilt_on_the_way_are_fetched_once_more(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    told = []
    proxy.fault = Once(MIDDLE, spoil)
    version = make_store().obtain("digits", "1.0", told.append)
    assert proxy.fault.happened.is_set()
    assert version.checkpoint_path.read_bytes() == BIG
    assert any("is not what was published; fetching it once more" in text for text in told)


def test_wrong_bytes_in_the_store_are_refused_and_nothing_is_kept(make_store, publish_bytes, weed, root):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    [key] = [key for key in objects_of(weed, root) if key.endswith("checkpoint.pt")]
    weed.files.pipe_file(f"{root}/{key}", BIG[:-1] + bytes([BIG[-1] ^ 1]))
    store = make_store()
    with pytest.raises(VersionFolderError, match=r"checkpoint\.pt: it has SHA-256 .*, published was"):
        store.obtain("digits", "1.0")
    assert not store.has("digits", "1.0")
    assert [part.stat().st_size for part in parts_of(store)] in ([], [0])


def test_an_object_that_is_replaced_while_it_is_read_is_refused(make_store, publish_bytes, proxy, weed, root):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    [key] = [key for key in objects_of(weed, root) if key.endswith("checkpoint.pt")]

    def replace(content):
        weed.files.pipe_file(f"{root}/{key}", bytes(len(BIG)))
        return content

    proxy.fault = Once(MIDDLE, replace)
    store, told = make_store(), []
    with pytest.raises(VersionFolderError, match="does not have the version as it was published"):
        store.obtain("digits", "1.0", told.append)
    assert proxy.fault.happened.is_set()
    assert any("fetching it once more" in text for text in told)
    assert not store.has("digits", "1.0")
    assert [part.stat().st_size for part in parts_of(store)] in ([], [0])


@pytest.mark.parametrize("file", ["checkpoint.pt", "golden.json", "version.json"])
def test_an_object_that_is_missing_is_named(make_store, publish_bytes, weed, root, file):
    publish_bytes(make_store("publisher"))
    [key] = [key for key in objects_of(weed, root) if key.endswith(file)]
    weed.files.rm_file(f"{root}/{key}")
    with pytest.raises(VersionFolderError, match=f"{file} is missing"):
        make_store().obtain("digits", "1.0")


def test_a_head_of_another_version_is_refused(make_store, publish_bytes, weed, root):
    store = make_store("publisher")
    publish_bytes(store)
    publish_bytes(store, "1.1", b"others")
    files = weed.files
    [manifest] = [
        key for key in objects_of(weed, root) if key.startswith("digits-1.1") and "version.json" in key
    ]
    files.copy(f"{root}/digits-1.1/published.json", f"{root}/digits-1.0/published.json")
    files.copy(f"{root}/{manifest}", f"{root}/{manifest.replace('digits-1.1', 'digits-1.0')}")
    with pytest.raises(VersionFolderError, match=r"version\.json is of digits 1\.1"):
        make_store().obtain("digits", "1.0")


def test_a_store_that_is_away_is_told_with_what_is_here(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"))
    publish_bytes(make_store("publisher"), "1.1", b"others")
    store = make_store()
    store.obtain("digits", "1.0")
    proxy.go_away()
    assert store.obtain("digits", "1.0").version == "1.0"
    with pytest.raises(
        StoreAwayError, match=r"does not answer.*1\.1 is not in the cache, which has digits-1\.0"
    ):
        store.obtain("digits", "1.1")
    proxy.come_back()
    assert store.obtain("digits", "1.1").version == "1.1"


def test_two_that_fetch_at_once_share_one_transfer(make_store, publish_bytes, proxy):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    proxy.answered_bytes = 0
    waits = threading.Event()

    def hold_back(content):
        waits.wait(60)
        return content

    def tell(text):
        if "another process fetches the same; waiting for it" in text:
            waits.set()

    proxy.fault = Once(MIDDLE, hold_back)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: make_store().obtain("digits", "1.0", tell), range(2))
    assert waits.is_set()
    assert first.checkpoint_path.samefile(second.checkpoint_path)
    assert first.checkpoint_path.read_bytes() == BIG
    assert proxy.answered_bytes < 2 * len(BIG)


# -- over HTTP


def test_over_http_what_others_publish_can_be_read_and_nothing_published(
    make_store, publish_bytes, weed, root, tmp_path
):
    publish_bytes(make_store("publisher"), checkpoint=BIG)
    address = f"http://127.0.0.1:{weed.filer_port}/buckets/{root}"
    store = RemoteStore(address, Cache(tmp_path / "cache", 1 << 30))
    assert store.obtain("digits", "1.0").checkpoint_path.read_bytes() == BIG
    with pytest.raises(VersionNotFoundError):
        store.obtain("digits", "2.0")
    with pytest.raises(StoreRefusedError, match="can only be read"):
        publish_bytes(store, "1.1")


# -- the cache


def test_what_the_cache_has_spoilt_is_removed_and_fetched_again(make_store, publish_bytes):
    publish_bytes(make_store("publisher"))
    store = make_store()
    path = store.obtain("digits", "1.0").checkpoint_path
    path.chmod(0o644)
    path.write_bytes(b"tensorz")
    with pytest.raises(VersionFolderError, match=r"(?s)cache's copy of digits-1\.0 .* SHA-256"):
        store.verify(store.obtain("digits", "1.0"))
    assert store.obtain("digits", "1.0").checkpoint_path.read_bytes() == b"tensors"


def test_room_is_made_of_what_nobody_uses_the_longest_unused_first(make_store, publish_bytes):
    for number in range(4):
        publish_bytes(make_store("publisher"), f"1.{number}", os.urandom(MB))
    user = make_store(max_bytes=2 * MB + MB // 2)
    user.obtain("digits", "1.0")  # it holds it
    other = make_store(max_bytes=2 * MB + MB // 2)
    for version in ("1.1", "1.2", "1.3"):
        other.obtain("digits", version)
        other.keep_only(())
    assert [other.has("digits", f"1.{number}") for number in range(4)] == [True, False, False, True]
    user.keep_only(())
    other.obtain("digits", "1.1")
    assert [other.has("digits", f"1.{number}") for number in range(4)] == [False, True, False, True]
