"""Versions in a real S3 server, published and served by the commands, with the store slow, wrong and away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.server import Server
from tests.object_store import ACCESS_KEY, SECRET_KEY, Once, Proxy, Weed, environment, forget_connections
from tests.scripts.conftest import save_small_net

from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.store import open_store

ROW = {"inputs": [1, 2, 3, 4]}
VERSIONS = ("1.0", "1.1", "1.2", "1.3")
SETTINGS = {"batch_size": 8}


class CachingServer(Server):
    """A server whose versions are in object storage."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder)
        self.store.rmdir()
        self.port = port
        self.heard: list[str] = []

    def environment(self) -> dict[str, str]:
        cache = {"STATEHOUSE_CACHE": str(self.folder / "cache")}
        return super().environment() | environment(self.port) | cache

    def hear(self, *arguments: str, check: bool = True) -> str:
        """Run a command, and keep all that it says."""
        done = self.run(*arguments, check=check)
        assert check or done.returncode == 1, done.stderr
        self.heard += [done.stdout, done.stderr]
        return done.stdout + done.stderr

    def serving(self) -> str:
        answer = self.client.post("/predictions/net", json=ROW)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-model-version"]


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    weed = Weed(tmp_path_factory.mktemp("weed") / "server")
    yield weed
    weed.stop()


@pytest.fixture(scope="module")
def proxy(weed: Weed) -> Iterator[Proxy]:
    proxy = Proxy(weed.port)
    yield proxy
    proxy.go_away()


@pytest.fixture(scope="module")
def address(weed: Weed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with four versions of a small network, published by somebody else."""
    address = f"s3://{weed.new_root()}"
    folder = tmp_path_factory.mktemp("publisher")
    publisher = CachingServer(folder, weed.port)
    first, *others = [save_small_net(folder / f"{number}.pt", seed=number) for number in range(len(VERSIONS))]
    told = publisher.hear("publish", str(first), "--name", "net", "--version", "1.0", "--store", address)
    assert f"net 1.0 published: {address}/net-1.0" in told
    assert not (folder / "model_store").exists()
    with pytest.MonkeyPatch.context() as patch:  # in this process, which is quicker
        for name, value in publisher.environment().items():
            patch.setenv(name, value)
        forget_connections()
        store = open_store(address, max_cache_bytes=1 << 30)
        for version, file in zip(VERSIONS[1:], others, strict=True):
            publish(file, store=store, name="net", version=version)
    forget_connections()
    return address


@pytest.fixture(scope="module")
def server(address: str, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CachingServer]:
    """A server with an empty cache of its own."""
    server = CachingServer(tmp_path_factory.mktemp("server"), proxy.port)
    models = {"net": {"default": "1.0", "versions": {"1.0": SETTINGS}}}
    server.write_deployment(model_store=address, models=models)
    server.start()
    yield server
    server.kill_if_running()


def test_a_server_with_an_empty_cache_serves_what_another_published(
    server: CachingServer, address: str
) -> None:
    assert server.announced["ready"] is True
    assert server.serving() == "1.0"
    assert f"net 1.0 fetched from {address}" in server.log.read_text()
    assert server.status()["model_store"] == address
    cached = server.run_json("cache")
    assert [(each["version"], each["store"], each["in_use"]) for each in cached["versions"]] == [
        ("net-1.0", address, True)
    ]


def test_a_swap_fetches_while_others_are_served(server: CachingServer, proxy: Proxy, address: str) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold_back(content: bytes) -> bytes:
        arrived.set()
        go_on.wait(60)
        return content

    proxy.fault = Once(0, hold_back)
    said: list[str] = []
    swap = threading.Thread(target=lambda: said.append(server.hear("swap", "net", "1.1")))
    swap.start()
    try:
        assert arrived.wait(60)
        assert server.serving() == "1.0"
        assert server.status()["ready"] is True
    finally:
        go_on.set()
        swap.join()
    assert f"net 1.1 fetched from {address}" in said[0]
    assert server.serving() == "1.1"
    [change] = [change for change in server.run_json("history") if change["to"]["version"] == "1.1"]
    assert change["outcome"] == "done"
    assert [step["name"] for step in change["steps"]][:2] == ["fetch", "load"]
    assert change["to"]["digest"]


def test_a_version_that_the_store_has_wrong_changes_nothing(
    server: CachingServer, weed: Weed, address: str
) -> None:
    root = address.removeprefix("s3://")
    [key] = [key for key in weed.files.find(f"{root}/net-1.3") if key.endswith(".pt")]
    content = weed.files.cat_file(key)
    weed.files.pipe_file(key, content[:-1] + bytes([content[-1] ^ 1]))
    told = server.hear("swap", "net", "1.3", check=False)
    assert "does not have the version as it was published" in told
    assert "it has SHA-256" in told
    assert "net is served by 1.1" in told
    assert [row["version"] for row in server.status()["models"]] == ["1.0", "1.1"]
    inspected = server.hear("inspect", "net-1.3", check=False)
    assert "it has SHA-256" in inspected


def test_while_the_store_is_away_what_is_here_is_served_swapped_and_restarted(
    server: CachingServer, proxy: Proxy, address: str
) -> None:
    proxy.go_away()
    told = server.hear("swap", "net", "1.2", check=False)
    assert f"{address} does not answer" in told
    assert "net 1.2 is not in the cache, which has net-1.0, net-1.1 of this store" in told
    assert server.serving() == "1.1"
    server.hear("rollback", "net")
    assert server.serving() == "1.0"
    server.hear("retire", "net", "1.1")
    server.hear("swap", "net", "1.1")
    assert server.serving() == "1.1"
    assert server.stop() == 0
    desired = server.read_deployment()
    desired["models"]["net"]["versions"]["1.2"] = SETTINGS
    server.write_deployment(**desired)
    server.start()
    [missing] = server.announced["missing"]
    assert "net 1.2 is not in the cache" in missing
    assert server.serving() == "1.1"
    assert f"net 1.1 is in the cache; {address} was not asked" in server.log.read_text()
    proxy.come_back()
    deadline = time.monotonic() + 120
    while not server.reader.get("/ready").json()["ready"]:  # it heals by itself
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)
    assert f"net 1.2 fetched from {address}" in server.log.read_text()
    loaded = {f"net-{row['version']}" for row in server.status()["models"]}
    kept = server.run_json("cache", "--prune")
    assert {each["version"] for each in kept["versions"]} == loaded


def test_no_credential_is_written_said_or_handed_on(
    server: CachingServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hear("history")
    server.hear("cache")
    server.hear("status")
    secrets = [SECRET_KEY.encode(), ACCESS_KEY.encode()]
    private = RuntimeFolder.of_deployment(server.deployment_file).path
    written = [file for folder in (server.folder, private) for file in folder.rglob("*")]
    read = [file for file in written if file.is_file()]
    assert server.folder / "deployment.log" in read
    for file in read:
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file
    assert not any(secret.decode() in text for secret in secrets for text in server.heard)
    ours = server.process.pid
    family = [ours, *descendants(ours)]
    assert len(family) > 3
    for process in family:
        assert not any(secret in read_process(process, "cmdline") for secret in secrets)
        if process != ours:  # neither TorchServe nor its workers nor the front need any
            assert not any(secret in read_process(process, "environ") for secret in secrets)


def test_an_address_with_credentials_in_it_is_refused_and_not_repeated(tmp_path: Path) -> None:
    key, secret = "AKIANOTTOBESEEN", "not%2Fto+be+seen"
    server = Server(tmp_path)
    asked = server.run("inspect", "net-1.0", "--store", f"s3://{key}:{secret}@bucket/models", check=False)
    server.write_deployment(model_store=f"https://host/models?X-Amz-Signature={secret}&Key={key}")
    served = server.run("serve", check=False)
    for done in (asked, served):
        assert done.returncode == 1
        assert "cannot be a model store: an address with a user, a password or a query" in done.stderr
        assert not any(word in done.stdout + done.stderr for word in (key, secret))


def descendants(process: int) -> list[int]:
    found = []
    for child in children(process):
        found += [child, *descendants(child)]
    return found


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def read_process(process: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{file}").read_bytes()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return b""
