"""One real S3 server for a module of tests, a place of its own for each test."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.object_store import Proxy, Weed, environment, forget_connections
from tests.scripts.conftest import MakeVersion

from statehouse.scripts.store.cache import Cache
from statehouse.scripts.store.remote import RemoteStore

MakeStore = Callable[..., RemoteStore]
Publish = Callable[..., None]


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    weed = Weed(tmp_path_factory.mktemp("weed") / "server")
    yield weed
    weed.stop()


@pytest.fixture
def root(weed: Weed) -> str:
    """The test's store, as `weed.files` knows it."""
    return weed.new_root()


@pytest.fixture(scope="module")
def connection(weed: Weed) -> Iterator[Proxy]:
    connection = Proxy(weed.port)
    forget_connections()
    yield connection
    forget_connections()
    connection.go_away()


@pytest.fixture
def proxy(connection: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The connection that the environment names, without a fault yet."""
    for name, value in environment(connection.port).items():
        monkeypatch.setenv(name, value)
    connection.reset()
    yield connection
    connection.reset()


@pytest.fixture
def make_store(proxy: Proxy, root: str, tmp_path: Path) -> MakeStore:
    """Return a function that opens the test's store, with the cache of a name."""

    def make(cache: str = "cache", *, max_bytes: int = 1 << 30) -> RemoteStore:
        return RemoteStore(f"s3://{root}", Cache(tmp_path / cache, max_bytes))

    return make


@pytest.fixture
def publish_bytes(make_version: MakeVersion) -> Publish:
    """Return a function that publishes a version of any bytes into a store."""

    one_at_a_time = threading.Lock()

    def publish(
        store: RemoteStore, version: str = "1.0", checkpoint: bytes = b"tensors", *, by: str = ""
    ) -> None:
        with one_at_a_time:
            made = make_version("digits", version, checkpoint=checkpoint)
            mine = made.rename(made.with_name(f"{made.name}{by}.made"))
        with store.writing(lambda text: None), store.draft("digits", version, lambda text: None) as draft:
            for file in mine.iterdir():
                shutil.copy(file, draft)
        shutil.rmtree(mine)

    return publish


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache that keeps 1,000 bytes of what nobody uses."""
    cache = Cache(tmp_path / "cache", 1000)
    with cache.shared():
        pass
    return cache
