"""The front as it faces other machines: TLS, keys, each client's limits, all of it changed while it runs."""

from __future__ import annotations

import gc
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.certificates import make_certificate
from tests.scripts.servers.test_haproxy import RunningFront, wait_for

from statehouse.scripts.access.certificate import Certificate
from statehouse.scripts.access.client_keys import ClientKeys, ClientLimits
from statehouse.scripts.errors import FrontError
from statehouse.scripts.servers.haproxy import CONFIG_FILE
from statehouse.scripts.traffic.outcomes import OutcomeReceiver
from statehouse.scripts.traffic.request_end import RequestEnd

PATH = "/predictions/digits"


class PublicFront(RunningFront):
    """A front with TLS that asks for keys."""

    def __init__(self, folder: Path, **access: Any) -> None:
        self.keys = ClientKeys(folder / "deployment.keys.json")
        self.pem = folder / "server.pem"
        make_certificate(self.pem)
        self.receiver: OutcomeReceiver | None = None
        super().__init__(
            folder, request_timeout_seconds=30, certificate=self.pem, asks_for_keys=True, **access
        )
        self.serve("digits", "1.0")
        self.do(self.front.set_default("digits", "1.0"))

    def tell(self) -> None:
        self.do(self.front.set_clients(self.keys.maps()))

    def add(self, name: str, **limits: int | bool) -> str:
        key = self.keys.add(name, ClientLimits(**limits))
        self.tell()
        return key


@pytest.fixture(scope="module")
def public() -> Iterator[PublicFront]:
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = PublicFront(folder)
    yield running
    running.stop()
    shutil.rmtree(folder)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def client_of(public: PublicFront) -> Iterator[str]:
    """The key of a client with room for all that is asked."""
    yield public.add("roomy", requests_per_second=100_000, concurrent_requests=1000)
    public.keys.revoke("roomy")
    public.tell()


def test_without_a_key_nothing_is_answered_but_health(public: PublicFront) -> None:
    for method, path in [("POST", PATH), ("GET", "/v2/models/digits"), ("GET", "/metrics"), ("GET", "/console/"),
                         ("GET", "/nonsense"), ("POST", "/problems/too-large")]:  # fmt: skip
        answer = public.client.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == 'Bearer realm="statehouse"'
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:statehouse:problem:no-key"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    for path in ("/ping", "/v2/health/ready"):
        assert public.client.get(path).json()["supervisor"] == path
    assert public.client.get("/v2/health/live").json() == {"live": True}


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_lets_in_and_goes_no_further(public: PublicFront, client_of: str, header: str) -> None:
    headers = bearer(client_of) if header == "authorization" else {"x-api-key": client_of}
    answer = public.client.post(PATH, headers=headers)
    assert answer.status_code == 200
    seen = answer.json()["headers"]
    assert not {"authorization", "x-api-key"} & set(seen)
    assert client_of not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        bearer("sth_" + "A" * 43),
        {"authorization": "Basic cm9vbXk6eA=="},
        {"x-api-key": "nobody"},
        bearer("roomy"),
        bearer("roomy|99999999999"),
        {"authorization": "Bearer"},
    ],
)
def test_a_wrong_key_is_refused(public: PublicFront, client_of: str, headers: dict[str, str]) -> None:
    answer = public.client.post(PATH, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_what_is_stored_opens_nothing(public: PublicFront, client_of: str) -> None:
    """Neither the file nor the map has a key in it; nor is a hash one."""
    for file in (public.keys._file, public.runtime.maps / "keys.map"):
        assert client_of not in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        for stored in re.findall(r"[0-9a-f]{64}", file.read_text()):
            assert public.client.post(PATH, headers=bearer(stored)).status_code == 401


def test_a_rotated_key_is_valid_beside_the_new_one_for_so_long(public: PublicFront) -> None:
    old = public.add("turning")
    new = public.keys.rotate("turning", keep_seconds=3600)
    public.tell()
    for key in (old, new):
        assert public.client.post(PATH, headers=bearer(key)).status_code == 200
    newest = public.keys.rotate("turning", keep_seconds=-1)  # as if its hour were over
    public.tell()
    assert [public.client.post(PATH, headers=bearer(key)).status_code for key in (old, new, newest)] == [
        401,
        401,
        200,
    ]


def test_the_front_itself_knows_when_an_old_key_ends(public: PublicFront) -> None:
    """Nobody has to come and remove it."""
    old = public.add("waning")
    public.keys.rotate("waning", keep_seconds=2)
    public.tell()
    wait_for(lambda: public.client.post(PATH, headers=bearer(old)).status_code == 401)
    assert "unknown-key" in public.client.post(PATH, headers=bearer(old)).text


def test_a_revoked_key_is_refused_on_a_connection_that_it_opened(public: PublicFront) -> None:
    key = public.add("leaving")
    with httpx.Client(base_url=public.client.base_url, verify=False) as client:
        assert client.post(PATH, headers=bearer(key)).status_code == 200
        public.keys.revoke("leaving")
        public.tell()
        assert client.post(PATH, headers=bearer(key)).status_code == 401


def test_keys_come_and_go_while_others_are_served(public: PublicFront, client_of: str) -> None:
    over = threading.Event()

    def ask() -> set[int]:
        found: set[int] = set()
        with httpx.Client(base_url=public.client.base_url, verify=False) as client:
            while not over.is_set():
                found.add(client.post(PATH, headers=bearer(client_of)).status_code)
        return found

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        for _ in range(8):
            key = public.add("passing")
            assert public.client.post(PATH, headers=bearer(key)).status_code == 200
            public.keys.revoke("passing")
            public.tell()
        over.set()
        assert [each.result() for each in asking] == [{200}] * 3


def test_a_client_has_so_many_in_flight_and_others_are_not_held_up(
    public: PublicFront, client_of: str
) -> None:
    key = public.add("many", concurrent_requests=2, requests_per_second=1000)
    with ThreadPoolExecutor(2) as pool:
        slow = [
            pool.submit(public.client.post, PATH, content=b"slow", headers=bearer(key), timeout=60)
            for _ in "12"
        ]
        wait_for(lambda: public.do(public.front.statistics()).clients["many"].in_flight == 2)
        refused = public.client.post(PATH, headers=bearer(key))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["type"] == "urn:statehouse:problem:too-many"
        assert "many has its limit of 2" in refused.json()["detail"]
        assert public.client.post(PATH, headers=bearer(client_of)).status_code == 200
        assert [each.result().status_code for each in slow] == [200, 200]
    assert public.client.post(PATH, headers=bearer(key)).status_code == 200
    assert public.do(public.front.statistics()).clients["many"] == (3, 1, 0)


def test_a_client_that_asks_too_often_still_gets_its_rate(public: PublicFront, client_of: str) -> None:
    rate = 5
    key = public.add("hasty", requests_per_second=rate)
    statuses: list[int] = []
    began = time.monotonic()
    while statuses.count(200) < 11:
        assert time.monotonic() - began < 60, "whoever asks too often gets less than its rate"
        answer = public.client.post(PATH, headers=bearer(key))
        assert answer.status_code == 200 or answer.headers["retry-after"] == "1"
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            assert answer.json()["type"] == "urn:statehouse:problem:too-fast"
            assert public.client.post(PATH, headers=bearer(client_of)).status_code == 200
    # The rate is counted over the last second: a second's share may have gone at once when it began.
    assert statuses.count(200) <= rate * (time.monotonic() - began + 1)
    counts = public.do(public.front.statistics()).clients["hasty"]
    assert (counts.accepted, counts.refused) == (11, len(statuses) - 11)


def test_a_limit_is_changed_at_once(public: PublicFront) -> None:
    key = public.add("growing", requests_per_second=1)
    while public.client.post(PATH, headers=bearer(key)).status_code != 429:
        pass
    public.keys.limit("growing", {"requests_per_second": 10_000})
    public.tell()
    assert {public.client.post(PATH, headers=bearer(key)).status_code for _ in range(20)} == {200}


def test_metrics_are_for_those_who_may_read_them(public: PublicFront, client_of: str) -> None:
    key = public.add("prometheus", metrics=True)
    for path in ("/metrics", "/ready"):
        assert public.client.get(path, headers=bearer(key)).json()["supervisor"] == path
        refused = public.client.get(path, headers=bearer(client_of))
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:statehouse:problem:not-allowed")


def test_problems_name_the_client_and_never_its_key(public: PublicFront, client_of: str) -> None:
    told: list[RequestEnd] = []
    receiver = OutcomeReceiver(public.runtime.outcomes_socket, told.append)
    public.client.post("/predictions/nosuch", headers=bearer(client_of))
    public.client.post("/predictions/nosuch", headers=bearer("wrong"))
    wait_for(lambda: len([each for each in told if each.path == "/predictions/nosuch"]) == 2)
    receiver.close()
    public.runtime.outcomes_socket.unlink()
    told = [each for each in told if each.path == "/predictions/nosuch"]
    assert [(each.status, each.client) for each in told] == [(404, "roomy"), (401, "")]
    assert client_of not in str(told)


def test_our_own_requests_need_no_key(public: PublicFront) -> None:
    async def ask() -> int:
        async with public.front.own_client(timeout_seconds=30) as client:
            return (await client.post(f"{PATH}/1.0")).status_code

    assert public.do(ask()) == 200
    assert public.runtime.own_socket.stat().st_mode & 0o777 == 0o600


def test_a_front_that_starts_again_knows_its_clients(public: PublicFront, client_of: str) -> None:
    pid = public.front.process.pid
    assert pid is not None
    public.do(public.front.process.stop(with_signal=9, grace_seconds=10))
    public.do(public.front.start(public.listener))
    assert public.front.process.pid != pid
    with httpx.Client(base_url=public.client.base_url, verify=False) as client:
        assert client.post(PATH, headers=bearer(client_of)).status_code == 200
        assert client.post(PATH).status_code == 401


# -- TLS


def shown(public: PublicFront) -> bytes:
    """The certificate that a new connection is shown."""
    host, port = public.listener.getsockname()
    context = ssl._create_unverified_context()
    with socket.create_connection((host, port)) as raw, context.wrap_socket(raw) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def test_a_renewed_certificate_is_shown_and_no_connection_is_lost(
    public: PublicFront, client_of: str
) -> None:
    before = shown(public)
    certificate = Certificate([public.pem], public.runtime.certificate)
    with httpx.Client(base_url=public.client.base_url, verify=False) as client, ThreadPoolExecutor(1) as pool:
        opened = (
            client.post(PATH, headers=bearer(client_of)).extensions["network_stream"].get_extra_info("socket")
        )
        port = opened.getsockname()
        slow = pool.submit(client.post, PATH, content=b"slow", headers=bearer(client_of), timeout=60)
        make_certificate(public.pem)
        public.do(public.front.set_certificate(certificate.take()))
        assert slow.result().status_code == 200
        again = client.post(PATH, headers=bearer(client_of))
        assert again.status_code == 200
        assert again.extensions["network_stream"].get_extra_info("socket").getsockname() == port
    after = shown(public)
    assert after != before
    assert after == leaf_of(public.pem)


def leaf_of(pem: Path) -> bytes:
    first = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem.read_text(), re.DOTALL)
    assert first is not None
    return ssl.PEM_cert_to_DER_cert(first[0])


def test_a_certificate_that_cannot_be_used_changes_nothing(public: PublicFront) -> None:
    before = shown(public)
    with pytest.raises(FrontError, match="cannot use the certificate"):
        public.do(public.front.set_certificate("nonsense"))
    assert shown(public) == before
    public.do(public.front.set_certificate(Certificate([public.pem], public.runtime.certificate).take()))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused(public: PublicFront, version: str) -> None:
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with (
        socket.create_connection(public.listener.getsockname()) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw)


def test_ciphers_without_forward_secrecy_are_refused(public: PublicFront) -> None:
    context = ssl._create_unverified_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA")
    with (
        socket.create_connection(public.listener.getsockname()) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw)


def test_http_2_is_not_offered(public: PublicFront) -> None:
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(public.listener.getsockname()) as raw,
        context.wrap_socket(raw) as connection,
    ):
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_plain_http_is_not_answered(public: PublicFront) -> None:
    host, port = public.listener.getsockname()
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://{host}:{port}{PATH}")


# httpcore leaves the socket of a handshake that was refused to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_one_address_has_no_more_connections_than_its_limit(tmp_path: Path) -> None:
    running = PublicFront(tmp_path, connections_per_address=3)
    address = running.listener.getsockname()
    try:
        opened = [socket.create_connection(address) for _ in range(10)]  # no handshake, nothing
        wait_for(lambda: sum(map(is_closed, opened)) == 7)
        with pytest.raises(httpx.TransportError):
            running.client.get("/ping")
        gc.collect()
        other = httpx.HTTPTransport(verify=False, local_address="127.0.0.2")
        with httpx.Client(base_url=running.client.base_url, transport=other) as elsewhere:
            assert elsewhere.get("/ping").status_code == 200
        assert running.do(asks_for_itself(running)) == 200
        refused = running.do(running.front.statistics()).totals["connections_refused"]
        assert refused >= 8  # seven, and the one of `client`
        for connection in opened:
            connection.close()
        wait_for(lambda: answers(running))
    finally:
        running.stop()


def test_a_handshake_that_stops_is_ended(tmp_path: Path) -> None:
    running = PublicFront(tmp_path, pause_seconds=2)
    try:
        began = time.monotonic()
        with socket.create_connection(running.listener.getsockname(), timeout=30) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01")  # how a ClientHello begins
            assert connection.recv(1) == b""
        assert time.monotonic() - began > 1.5
    finally:
        running.stop()


def test_a_pause_may_last_a_minute(public: PublicFront) -> None:
    """What the test above sets short: docs/security.md says how long it is."""
    variable = "STATEHOUSE_PAUSE_SECONDS"
    process = public.front.process.pid
    assert process is not None
    environment = Path(f"/proc/{process}/environ").read_text().split("\0")
    assert f"{variable}=60" in environment
    assert f'timeout client "${{{variable}}}s"' in CONFIG_FILE.read_text()


async def asks_for_itself(running: PublicFront) -> int:
    async with running.front.own_client(timeout_seconds=30) as client:
        return (await client.get("/ping")).status_code


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def answers(running: PublicFront) -> bool:
    try:
        return running.client.get("/ping").status_code == 200
    except httpx.TransportError:
        return False
