"""A server for other machines, from its start: refused without TLS and keys; then keys and certificates come and go."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.certificates import make_certificate
from tests.faults.conftest import FaultyServer
from tests.faults.sockets import family_of, listening

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.deployment.listen import LINE_TO_ADD
from statehouse.scripts.errors import CommandError
from statehouse.scripts.machine import is_loopback
from statehouse.scripts.servers.private_folder import RuntimeFolder

LISTEN = {"front": "0.0.0.0:0", "reader": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
ACCESS = {"certificate": "server.pem", "keys": True}
BODY = {"inputs": [1.0, 2.0, 3.0, 4.0]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    server = FaultyServer(tmp_path_factory.mktemp("public"))
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0", listen=LISTEN, access=ACCESS)
    make_certificate(server.folder / "server.pem")
    server.start()
    yield server
    server.kill_if_running()


def client_of(server: FaultyServer, key: str = "") -> httpx.Client:
    port = server.announced["front"].rpartition(":")[2]
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=False, timeout=60, headers=headers)


def status_of(server: FaultyServer, key: str = "") -> int:
    with client_of(server, key) as client:
        return client.post("/predictions/moody", json=BODY).status_code


def add(server: FaultyServer, name: str, **limits: int | bool) -> str:
    return str(ControlClient(server.deployment_file).change_key("add", name, limits=limits)["key"])


def revoke(server: FaultyServer, name: str) -> None:
    ControlClient(server.deployment_file).change_key("revoke", name)


@pytest.mark.parametrize("access", [{}, {"keys": True}])
def test_without_tls_and_keys_it_does_not_start(tmp_path: Path, access: dict[str, object]) -> None:
    server = FaultyServer(tmp_path)
    server.deploy("1.0", listen=LISTEN, access=access)
    try:
        with pytest.raises(AssertionError, match="serve ended") as refused:
            server.start()
    finally:
        server.kill_if_running()
    assert server.process is not None
    assert server.process.wait() == 1
    assert LINE_TO_ADD in str(refused.value)
    assert "Traceback" not in server.log.read_text()


def test_without_its_certificate_it_does_not_start(tmp_path: Path) -> None:
    server = FaultyServer(tmp_path)
    server.deploy("1.0", listen=LISTEN, access=ACCESS)
    refused = server.run("serve", check=False)
    assert refused.returncode == 1
    assert "server.pem cannot be read" in refused.stderr


def test_an_edit_that_would_open_it_is_not_applied(server: FaultyServer) -> None:
    written = server.deployment_file.read_bytes()
    server.deploy("1.0", listen=LISTEN)
    refused = server.run("apply", check=False)
    server.deployment_file.write_bytes(written)
    assert refused.returncode == 1
    assert LINE_TO_ADD in refused.stderr


def test_the_life_of_a_key(server: FaultyServer) -> None:
    assert status_of(server) == 401
    added = server.run("key", "add", "shop", "--rate", "500", "--concurrency", "8")
    first = added.stdout.strip()
    assert first.startswith("sth_")
    assert status_of(server, first) == 200
    second = server.run("key", "rotate", "shop", "--keep", "1h").stdout.strip()
    assert [status_of(server, key) for key in (first, second)] == [200, 200]
    listed = server.run_json("key", "list")["clients"]
    assert [(each["client"], each["requests_per_second"], len(each["keys"])) for each in listed] == [
        ("shop", 500, 2)
    ]
    server.run("key", "limit", "shop", "--rate", "1000")
    server.run("key", "revoke", "shop")
    assert [status_of(server, key) for key in (first, second)] == [401, 401]
    told = [(each["kind"], each["name"]) for each in server.history()][-4:]
    assert told == [(f"key {what}", "shop") for what in ("add", "rotate", "limit", "revoke")]
    problems = server.deployment_file.with_suffix(".problems.jsonl")
    server.wait_until(lambda: problems.read_text().count("unknown-key") >= 2)
    private = RuntimeFolder.of_deployment(server.deployment_file).path
    files = [*server.folder.glob("deployment*"), server.log, *private.rglob("*")]
    written = b"".join(file.read_bytes() for file in files if file.is_file())
    assert first.encode() not in written
    assert second.encode() not in written
    assert "key rotate shop" in server.run("history").stdout


def test_a_mistake_is_told(server: FaultyServer) -> None:
    refused = server.run("key", "rotate", "nobody", check=False)
    assert refused.returncode == 1
    assert "There is no client 'nobody'" in refused.stderr
    with pytest.raises(CommandError, match="two words"):
        add(server, "two words")


def test_commands_send_the_key_that_a_file_or_the_environment_has(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = server.folder / "key"
    file.write_text(add(server, "ci", requests_per_second=100_000) + "\n")
    for options in (("--key-file", str(file)), ()):  # without one: over the private socket
        assert server.run_json("predict", "moody", json.dumps(BODY), *options)["version"] == "1.0"
    monkeypatch.setenv("STATEHOUSE_KEY", "sth_wrong")
    assert server.run("predict", "moody", json.dumps(BODY), check=False).returncode == 1
    monkeypatch.setenv("STATEHOUSE_KEY", file.read_text().strip())
    load = ("load-test", "moody", "--connections", "2", "--duration", "1s", "--fail-if", "errors > 0")
    assert "https://" in server.run(*load, "--json").stdout
    metrics = server.reader.get("/metrics").text
    accepted = re.search(
        r'statehouse_front_client_requests_total\{client="ci",outcome="accepted"\} (\S+)', metrics
    )
    assert accepted is not None
    assert float(accepted[1]) > 1
    revoke(server, "ci")


def test_a_swap_needs_no_key(server: FaultyServer) -> None:
    key = add(server, "steady", requests_per_second=100_000)
    over, found = threading.Event(), set()

    def ask() -> None:
        with client_of(server, key) as client:
            while not over.is_set():
                found.add(client.post("/predictions/moody", json=BODY).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    server.run("swap", "moody", "1.1", "--shadow", "goldens")
    server.run("rollback", "moody")
    over.set()
    asking.join()
    assert found == {200}
    revoke(server, "steady")


def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(server: FaultyServer) -> None:
    key = add(server, "kept", requests_per_second=100_000)
    pem = server.folder / "server.pem"

    def trusts(authority: ssl.SSLContext) -> bool:
        port = server.announced["front"].rpartition(":")[2]
        try:
            answer = httpx.get(f"https://127.0.0.1:{port}/ping", verify=authority)
        except httpx.ConnectError:
            return False
        return answer.status_code == 200

    with client_of(server, key) as client:
        assert client.post("/predictions/moody", json=BODY).status_code == 200
        renewed = ssl.create_default_context()
        make_certificate(pem).configure_trust(renewed)
        assert not trusts(renewed)
        server.wait_until(lambda: trusts(renewed))
        pem.write_text("half a certif")
        server.wait_until(lambda: "the certificate was not renewed" in server.log.read_text().lower())
        assert trusts(renewed)
        opened = client.post("/predictions/moody", json=BODY)
        assert opened.status_code == 200
    front = server.status()["pids"]["front"]
    subprocess.run(["kill", "-9", str(front)], check=True)
    server.wait_until(lambda: trusts(renewed))  # a front that starts again does not read the broken one
    assert status_of(server, key) == 200
    revoke(server, "kept")


def test_others_reach_the_front_alone(server: FaultyServer) -> None:
    assert server.process is not None
    front = int(server.announced["front"].rpartition(":")[2])
    found = listening(family_of(server.process.pid)).tcp
    assert {(host, port) for host, port in found if not is_loopback(host)} == {("0.0.0.0", front)}
    key = add(server, "prometheus", metrics=True)
    with client_of(server, key) as client:
        assert "statehouse_front_client_requests_total" in client.get("/metrics").text
        assert client.get("/ready").json()["ready"] is True
    revoke(server, "prometheus")
