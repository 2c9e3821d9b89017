"""The front as HAProxy really runs it, before an upstream that answers with what it was sent."""

import asyncio
import json
import re
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.access.certificate import Certificate
from scripts.front import Front
from scripts.local_http import LocalServer, unix_listener
from scripts.metrics.front_statistics import Tracked
from scripts.outcomes import OutcomeReceiver
from scripts.request_end import RequestEnd
from scripts.runtime import RuntimeFolder

LIMIT_BYTES = 1000
DIGEST = "ab" * 32
LOOPBACK = ("127.0.0.1", 0)


async def echo(request: Request) -> Response:
    """What TorchServe would see; 'slow' is answered late, 'held' when released, 'refuse 503' as TorchServe refuses."""
    body = await request.body()
    if body.startswith(b"refuse "):
        status = int(body.split()[1])
        refusal = {"code": status, "message": f"{request.url.path} has no worker to serve it"}
        return JSONResponse(refusal, status, headers=worker_headers(body))
    if body == b"slow":
        await asyncio.sleep(5)
    if body.strip() == b"held":
        request.app.state.front.held += 1
        await request.app.state.released.wait()
    return JSONResponse(
        {"path": request.url.path, "query": request.url.query, "headers": dict(request.headers)}
    )


def worker_headers(body: bytes) -> dict[str, str]:
    return {"x-model-version": "1.0"} if b"worker" in body else {}


async def told(request: Request) -> Response:
    """The supervisor's place."""
    received = len(await request.body())
    asked = {"supervisor": request.url.path, "received": received}
    if request.url.path.startswith("/console"):
        asked["client"] = request.headers["x-statehouse-client"]
    return JSONResponse(asked, 413 if received else 200)


class RunningFront:
    """A front with both of its upstreams, in an event loop of their own thread."""

    def __init__(
        self,
        folder: Path,
        *,
        request_timeout_seconds: int = 1,
        max_request_bytes: int = LIMIT_BYTES,
        log_requests: bool = False,
        certificate: Path | None = None,
        **access: Any,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.runtime = RuntimeFolder(folder / "r")
        self.runtime.create()
        self.runtime.make_folders()
        self.listener = socket.create_server(LOOPBACK)
        reader = socket.create_server(LOOPBACK)
        methods = ["GET", "POST", "PUT"]
        upstream = Starlette(routes=[Route("/{path:path}", echo, methods=methods)])
        supervisor = Starlette(routes=[Route("/{path:path}", told, methods=methods)])
        self.held = 0
        upstream.state.front = self
        upstream.state.released = self.released = asyncio.Event()
        self.upstream_app = upstream
        self.upstream = LocalServer(upstream, unix_listener(self.runtime.inference_socket))
        self.supervisor = LocalServer(supervisor, reader)
        self.front = Front(
            self.runtime,
            supervisor_address=f"127.0.0.1:{reader.getsockname()[1]}",
            max_request_bytes=max_request_bytes,
            request_timeout_seconds=request_timeout_seconds,
            on_line=lambda line: None,
            log_requests=log_requests,
            has_certificate=certificate is not None,
            **access,
        )
        if certificate is not None:
            Certificate([certificate], self.runtime.certificate).take()
        for start in (self.upstream.start(), self.supervisor.start(), self.front.start(self.listener)):
            self.do(start)
        scheme = "https" if certificate is not None else "http"
        url = f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.client = httpx.Client(base_url=url, verify=False)

    def do(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(timeout=60)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.client.post(path, timeout=120, **kwargs)

    def release(self) -> None:
        """Let all that is held be answered, and what comes from now on at once."""
        self.loop.call_soon_threadsafe(self.released.set)

    def stop_upstream(self) -> None:
        self.do(self.upstream.stop())
        self.runtime.inference_socket.unlink(missing_ok=True)

    def start_upstream(self) -> None:
        self.upstream = LocalServer(self.upstream_app, unix_listener(self.runtime.inference_socket))
        self.do(self.upstream.start())

    def stop(self) -> None:
        self.client.close()
        self.listener.close()
        for stop in (self.front.drain(), self.upstream.stop(), self.supervisor.stop()):
            self.do(stop)
        self.loop.call_soon_threadsafe(self.loop.stop)


@contextmanager
def serving(request_timeout_seconds: int) -> Iterator[RunningFront]:
    """A front of digits 1.0, the default, and 2.0, and of a name that is loading."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = RunningFront(folder, request_timeout_seconds=request_timeout_seconds)
    front = running.front
    running.do(front.set_token("secret"))
    for version in ("1.0", "2.0"):
        lanes = [(f"{version}-b8", None)]
        running.do(front.set_lanes("digits", version, lanes, loading=f"{version}-b8", digest=DIGEST))
    running.do(front.set_default("digits", "1.0"))
    running.do(front.set_lanes("loading", "1.0", [("1.0-b8", None)], loading="1.0-b8", digest=DIGEST))
    yield running
    running.stop()
    shutil.rmtree(folder)


def started_alone(folder: Path, *, request_timeout_seconds: int) -> RunningFront:
    """A front of digits 1.0 alone, of one lane with one worker that answers one request at a time."""
    running = RunningFront(folder, request_timeout_seconds=request_timeout_seconds)
    running.do(running.front.set_token("secret"))
    lanes = [("1.0-b8", None)]
    running.do(running.front.set_lanes("digits", "1.0", lanes, loading="1.0-g0", digest=DIGEST, at_once=1))
    running.do(running.front.set_default("digits", "1.0"))
    return running


@pytest.fixture(scope="module")
def running() -> Iterator[RunningFront]:
    with serving(request_timeout_seconds=1) as front:
        yield front


@pytest.fixture(scope="module")
def patient() -> Iterator[RunningFront]:
    """One that lets requests wait as long as a busy machine needs."""
    with serving(request_timeout_seconds=60) as front:
        yield front


Post = Callable[..., httpx.Response]


@pytest.fixture
def post(running: RunningFront) -> Post:
    return running.post


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/predictions/digits", "/predictions/digits/1.0-b8"),
        ("/predictions/digits/", "/predictions/digits/1.0-b8"),
        ("/predictions/digits/2.0", "/predictions/digits/2.0-b8"),
        ("/predictions/loading/1.0", "/predictions/loading/1.0-b8"),
        ("/v1/models/digits:predict", "/predictions/digits/1.0-b8/v1"),
        ("/v2/models/digits/infer", "/predictions/digits/1.0-b8/v2"),
        ("/v2/models/digits/versions/2.0/infer", "/predictions/digits/2.0-b8/v2"),
    ],
)
def test_every_form_of_url_reaches_its_lane(post: Post, path: str, expected: str) -> None:
    answer = post(path, content=b"{}")
    assert answer.json()["path"] == expected
    assert answer.headers["x-model-version"] == expected.split("/")[3].removesuffix("-b8")
    assert answer.headers["x-model-digest"] == DIGEST


def test_a_flip_is_for_the_next_request(running: RunningFront, post: Post) -> None:
    running.do(running.front.set_default("digits", "2.0"))
    assert post("/predictions/digits").json()["path"] == "/predictions/digits/2.0-b8"
    running.do(running.front.set_default("digits", "1.0"))
    assert post("/predictions/digits").json()["path"] == "/predictions/digits/1.0-b8"


def test_what_clients_may_not_say_is_replaced(post: Post) -> None:
    headers = {"authorization": "Bearer mine", "url_path": "v2", "x-kept": "yes"}
    seen = post("/predictions/digits?query=1", headers=headers).json()
    assert seen["headers"]["authorization"] == "Bearer secret"
    assert "url_path" not in seen["headers"]
    assert seen["headers"]["x-kept"] == "yes"
    assert seen["query"] == ""


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/app.js", "/console/data/live"])
def test_the_supervisor_has_the_console_and_is_told_whom_it_is_for(running: RunningFront, path: str) -> None:
    answer = running.client.get(path, headers={"x-statehouse-client": "10.0.0.7"})
    assert answer.json() == {"supervisor": path, "received": 0, "client": "127.0.0.1"}


@pytest.mark.parametrize("path", ["/consoles", "/x/console/", "/status", "/live", "/history"])
def test_nothing_else_of_the_supervisor_s_is_let_through(running: RunningFront, path: str) -> None:
    answer = running.client.get(path)
    assert answer.status_code == 404
    assert "no path of this server" in answer.json()["detail"]


def test_a_model_may_be_called_console(running: RunningFront, post: Post) -> None:
    assert "Model not found: console" in post("/predictions/console").text


@pytest.mark.parametrize("path", ["/predictions/digits", "/v1/models/digits:predict"])
def test_what_curl_calls_a_form_arrives_as_it_is(post: Post, path: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert "content-type" not in post(path, content=b"\x89PNG", headers=headers).json()["headers"]


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/predictions/nope", "ModelNotFoundException", "Model not found: nope"),
        # Registered and on its way up, but not flipped to: TorchServe would have answered from it.
        ("/predictions/loading", "ModelNotFoundException", "Model not found: loading"),
        ("/predictions/digits/9.9", "ModelVersionNotFoundException", "Model version: 9.9 does not exist for"),
        ("/predictions/digits/1.0-b8", "ModelVersionNotFoundException", "1.0-b8 does not exist"),
        ('/predictions/a"b', "ModelNotFoundException", "Model not found: a"),
        ("/v2/models/nope/infer", "ModelNotFoundException", "Model not found: nope"),
    ],
)
def test_an_unknown_model_is_told_in_torchserves_words(
    post: Post, path: str, kind: str, message: str
) -> None:
    answer = post(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == kind
    assert message in answer.json()["message"]
    assert answer.json()["error"] == answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("POST", "/", 404, "no-such-path"),
        ("POST", "/models", 404, "no-such-path"),
        ("POST", "/predictions/digits/1.0/v2", 404, "no-such-path"),
        ("POST", "/problems/too-large", 404, "no-such-path"),
        ("GET", "/predictions/digits", 405, "method"),
        ("OPTIONS", "/predictions/digits", 405, "method"),
    ],
)
def test_nothing_else_of_torchserves_is_open(
    running: RunningFront, method: str, path: str, status: int, slug: str
) -> None:
    raw = raw_request(running, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert raw.startswith(f"HTTP/1.1 {status} ")
    problem = problem_in(raw)
    assert problem["type"] == f"urn:statehouse:problem:{slug}"
    assert problem["error"] == problem["detail"]  # where tritonclient looks
    assert "\\/" not in raw


def test_an_unknown_path_is_named_and_told_where_readers_look(running: RunningFront) -> None:
    raw = raw_request(running, 'GET /v2/a\\"b/metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    detail = problem_in(raw)["detail"]
    assert detail.startswith('/v2/a\\"b/metrics is no path of this server. Predictions are at /predictions/')
    assert re.search(r"metrics and models are at http://127\.0\.0\.1:\d+/\.$", detail)


@pytest.mark.parametrize(
    "path", ["/ping", "/v2", "/v2/health/ready", "/v2/models/digits", "/v2/models/digits/versions/1.0/ready"]
)
def test_what_is_asked_about_the_models_goes_to_the_supervisor(running: RunningFront, path: str) -> None:
    assert running.client.get(path).json() == {"supervisor": path, "received": 0}


def test_a_body_over_the_limit_is_read_away_so_that_the_answer_arrives(post: Post) -> None:
    answer = post("/predictions/digits", content=b"x" * 15 * LIMIT_BYTES)
    assert answer.status_code == 413
    assert answer.json() == {"supervisor": "/problems/too-large", "received": 15 * LIMIT_BYTES}


def test_an_absurd_body_is_refused_unread(running: RunningFront) -> None:
    raw = raw_request(
        running, "POST /predictions/digits HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
    )
    assert problem_in(raw)["type"] == "urn:statehouse:problem:too-large"
    assert "10000000000 bytes" in problem_in(raw)["detail"]


@pytest.mark.parametrize("text", ["NOT HTTP", "POST / HTTP/1.1\r\nContent-Length: x", "POST /a b HTTP/1.1"])
def test_what_is_not_http_is_refused_before_any_rule_of_ours(running: RunningFront, text: str) -> None:
    """HAProxy's parser answers in its own words: no configuration reaches that answer."""
    assert raw_request(running, f"{text}\r\n\r\n").startswith("HTTP/1.1 400 ")


def test_no_path_leads_out(running: RunningFront) -> None:
    raw = raw_request(running, "POST /predictions/../models HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert raw.startswith("HTTP/1.1 404 ")


def test_an_answer_that_does_not_come_is_a_504_that_names_the_version(post: Post) -> None:
    answer = post("/predictions/digits", content=b"slow")
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:statehouse:problem:deadline"
    assert answer.headers["x-model-version"] == "1.0"


@pytest.mark.parametrize(
    ("status", "slug"),
    [
        (400, "bad-http"),
        (413, "too-large"),
        (500, "worker-ended"),
        (503, "unavailable"),
        (507, "worker-ended"),
    ],
)
def test_what_torchserve_refuses_itself_is_told_in_our_form(post: Post, status: int, slug: str) -> None:
    answer = post("/predictions/digits", content=f"refuse {status}".encode())
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:statehouse:problem:{slug}"
    assert answer.headers["x-model-version"] == "1.0"
    assert "1.0-b8" not in answer.text
    of_a_worker = post("/predictions/digits", content=f"refuse {status} as a worker".encode())
    assert of_a_worker.status_code == of_a_worker.json()["code"] == status


def test_requests_wait_for_a_server_that_restarts(patient: RunningFront) -> None:
    running, post = patient, patient.post
    assert post("/predictions/digits").status_code == 200
    running.stop_upstream()
    time.sleep(0.5)  # it is found to be down without anybody having asked
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(post, "/predictions/digits") for _ in range(8)]
        assert post("/predictions/nope").status_code == 404
        time.sleep(0.5)
        assert not any(each.done() for each in waiting)
        running.do(running.front.set_token("new"))
        running.start_upstream()
        answers = [each.result() for each in waiting]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {answer.json()["headers"]["authorization"] for answer in answers} == {"Bearer new"}


class DyingServer:
    """In the model server's place: takes one request, and is gone without an answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = unix_listener(path)
        self.taken = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self.taken.is_set():
            connection, _ = self._listener.accept()
            with connection:
                # A health check connects and says nothing.
                if b" /predictions/" in connection.recv(65536):
                    self._listener.close()
                    self._path.unlink()
                    self.taken.set()


@pytest.mark.parametrize(
    "path", ["/predictions/digits", "/v1/models/digits:predict", "/v2/models/digits/infer"]
)
def test_what_a_killed_server_had_is_sent_once_more(patient: RunningFront, path: str) -> None:
    running, post = patient, patient.post
    expected = post(path).json()["path"]
    running.stop_upstream()
    dying = DyingServer(running.runtime.inference_socket)
    time.sleep(0.5)  # found to be up
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, path)
        assert dying.taken.wait(120)
        running.do(running.front.set_token("next"))
        running.start_upstream()
        answer = waiting.result()
    assert answer.status_code == 200
    assert answer.json()["path"] == expected
    assert answer.json()["headers"]["authorization"] == "Bearer next"


def test_what_kills_two_servers_is_not_sent_to_a_third(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60)
    running.do(running.front.set_lanes("digits", "1.0", [("1.0-b8", None)], loading="1.0-b8", digest=DIGEST))
    running.do(running.front.set_default("digits", "1.0"))
    running.do(running.front.set_token("secret"))
    running.stop_upstream()
    first = DyingServer(running.runtime.inference_socket)
    time.sleep(0.5)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.post, "/predictions/digits")
        assert first.taken.wait(120)
        time.sleep(0.5)  # as Java, which takes seconds to be back: by then the request waits for it
        second = DyingServer(running.runtime.inference_socket)
        assert second.taken.wait(120)
        answer = waiting.result()
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:statehouse:problem:no-answer"
    running.stop()


def test_requests_wait_for_a_version_that_is_loaded_again(patient: RunningFront) -> None:
    running, front, post = patient, patient.front, patient.post
    running.do(front.set_lanes("digits", "4.0", [("4.0-b8", None)], loading="4.0-b8", digest=DIGEST))
    running.do(front.hold("digits", "4.0"))
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(post, "/predictions/digits/4.0") for _ in range(4)]
        time.sleep(0.3)
        assert not any(each.done() for each in waiting)
        running.do(front.set_lanes("digits", "4.0", [("4.0-b9", None)], loading="4.0-b9", digest=DIGEST))
        assert {each.result().json()["path"] for each in waiting} == {"/predictions/digits/4.0-b9"}
    running.do(front.remove_lane("digits", "4.0"))


def test_no_request_waits_for_a_version_longer_than_the_deadline(running: RunningFront, post: Post) -> None:
    front = running.front
    running.do(front.set_lanes("digits", "4.0", [("4.0-b8", None)], loading="4.0-b8", digest=DIGEST))
    running.do(front.hold("digits", "4.0"))
    answer = post("/predictions/digits/4.0")
    assert (answer.status_code, answer.headers["x-model-version"]) == (503, "4.0")
    assert answer.json()["type"] == "urn:statehouse:problem:unavailable"
    running.do(front.remove_lane("digits", "4.0"))


def test_the_lane_is_chosen_by_the_most_in_flight_of_late(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60)
    front, path = running.front, "/predictions/digits/9.0"
    running.do(front.set_token("secret"))
    lanes = [("9.0-b1", 1), ("9.0-b4", 3), ("9.0-b16", 4), ("9.0-b32", None)]
    running.do(front.set_lanes("digits", "9.0", lanes, loading="9.0-g0", digest=DIGEST))
    running.do(front.set_lanes("digits", "9.1", [("9.1-b1", None)], loading="9.1-g0", digest=DIGEST))

    def lane_of(asked: str) -> str:
        return running.client.post(asked).json()["path"].removeprefix("/predictions/digits/")

    def in_flight() -> int:
        return running.do(front.in_flight("digits", "9.0-g0", "explicit"))

    chosen = []
    with ThreadPoolExecutor(8) as pool:
        for count in range(1, 7):
            chosen.append(lane_of(path))
            pool.submit(running.post, path, content=b"held")
            wait_for(lambda count=count: in_flight() == count)
        assert lane_of("/predictions/digits/9.1") == "9.1-b1"
        running.release()
    assert chosen == ["9.0-b1", "9.0-b4", "9.0-b4", "9.0-b16", "9.0-b32", "9.0-b32"]
    wait_for(lambda: in_flight() == 0)
    alone = [lane_of(path) for _ in range(70)]
    # What was in flight is remembered, and forgotten lane by lane while one client is alone.
    assert list(dict.fromkeys(alone)) == ["9.0-b32", "9.0-b16", "9.0-b4", "9.0-b1"]
    assert alone[-1] == "9.0-b1"
    running.stop()


LARGE_BYTES = 300_000


@pytest.fixture(scope="module")
def roomy() -> Iterator[RunningFront]:
    """A front that takes large bodies: those of digits 9.0 apart, those of 9.1 as all others; 9.2 has one lane."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = RunningFront(folder, request_timeout_seconds=60, max_request_bytes=10 * LARGE_BYTES)
    running.do(running.front.set_token("secret"))
    several = [("few", 2), ("some", 4), ("many", None)]
    for version, lanes, apart in (
        ("9.0", several, True),
        ("9.1", several, False),
        ("9.2", [("only", None)], True),
    ):
        settings = {"loading": f"{version}-g0", "digest": DIGEST, "at_once": 8, "large_apart": apart}
        running.do(running.front.set_lanes("digits", version, lanes, **settings))
    yield running
    running.stop()
    shutil.rmtree(folder)


def in_chunks(size: int) -> Iterator[bytes]:
    for start in range(0, size, 1000):
        yield b" " * min(1000, size - start)


@pytest.mark.parametrize(
    ("version", "body", "lane"),
    [
        ("9.0", b" " * LARGE_BYTES, "many"),
        ("9.0", b" " * 200_000, "few"),
        ("9.0", in_chunks(LARGE_BYTES), "many"),
        ("9.0", in_chunks(9000), "few"),
        ("9.1", b" " * LARGE_BYTES, "few"),
        ("9.1", in_chunks(LARGE_BYTES), "few"),
        ("9.2", b" " * LARGE_BYTES, "only"),
    ],
    ids=["large", "not so large", "chunks", "few chunks", "not apart", "chunks, not apart", "one lane"],
)
def test_a_large_body_goes_to_the_last_lane_where_it_is_apart(
    roomy: RunningFront, version: str, body: Any, lane: str
) -> None:
    answer = roomy.post(f"/predictions/digits/{version}", content=body)
    assert answer.json()["path"] == f"/predictions/digits/{lane}"


def test_large_bodies_are_a_crowd_of_their_own_and_a_drain_waits_for_them(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60, max_request_bytes=2 * LARGE_BYTES)
    running.do(running.front.set_token("secret"))
    lanes, path = [("few", 2), ("some", 4), ("many", None)], "/predictions/digits/9.0"
    settings = {"loading": "9.0-g0", "digest": DIGEST, "large_apart": True}
    running.do(running.front.set_lanes("digits", "9.0", lanes, **settings))

    def in_flight() -> int:
        return running.do(running.front.in_flight("digits", "9.0-g0", "explicit"))

    def lane() -> str:
        return running.post(path).json()["path"].removeprefix("/predictions/digits/")

    with ThreadPoolExecutor(16) as pool:
        for _ in range(8):
            pool.submit(running.post, path, content=b"held")
        wait_for(lambda: in_flight() == 8)
        assert lane() == "many"
        pool.submit(running.post, path, content=b"held".ljust(LARGE_BYTES))
        wait_for(lambda: in_flight() == 9)
        assert lane() == "some"  # "many" is busy with a large one
        wait_for(lambda: lane() == "many")  # who sends one for ever has had its time
        running.release()
    wait_for(lambda: in_flight() == 0)
    assert lane() == "many"
    with ThreadPoolExecutor(8) as pool:
        lanes_of_large = pool.map(
            lambda _: running.post(path, content=b" " * LARGE_BYTES).json()["path"], range(8)
        )
    assert set(lanes_of_large) == {"/predictions/digits/many"}
    assert [lane() for _ in range(70)][-1] == "few"  # what was large is not remembered as company
    running.stop()


def test_requests_do_not_wait_longer_than_the_deadline(running: RunningFront, post: Post) -> None:
    running.stop_upstream()
    time.sleep(0.5)
    answer = post("/predictions/digits")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:statehouse:problem:unavailable"
    running.start_upstream()
    time.sleep(0.5)


def test_what_is_in_flight_is_known_by_version_and_by_how_it_was_asked_for(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60)
    front = running.front
    running.do(front.set_token("secret"))
    running.do(front.set_lanes("digits", "1.0", [("1.0-b8", None)], loading="1.0-b8", digest=DIGEST))
    running.do(front.set_default("digits", "1.0"))

    def in_flight() -> tuple[int, int]:
        return tuple(running.do(front.in_flight("digits", "1.0-b8", how)) for how in ("default", "explicit"))

    with ThreadPoolExecutor(3) as pool:
        for path in ("/predictions/digits", "/predictions/digits", "/predictions/digits/1.0"):
            pool.submit(running.post, path, content=b"held")
        wait_for(lambda: in_flight() == (2, 1))
        running.release()
    wait_for(lambda: in_flight() == (0, 0))
    running.stop()


def answers_of(running: RunningFront, count: int, body: bytes) -> Counter[tuple[int, str]]:
    """Send ``count`` at once; return what came of them: statuses, and the types of problems."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: running.post("/predictions/digits", content=body), range(count)))
    for answer in answers:
        if answer.status_code != 200:
            assert answer.json()["status"] == answer.status_code
            assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    return Counter((answer.status_code, answer.json().get("type", "")) for answer in answers)


def test_who_was_behind_others_until_the_deadline_is_told_not_now(short_folder: Path) -> None:
    """The first two of three would be in one batch of one worker, or be the next: they were not behind anybody."""
    running = started_alone(short_folder, request_timeout_seconds=2)
    unavailable, deadline = "urn:statehouse:problem:unavailable", "urn:statehouse:problem:deadline"
    assert answers_of(running, 3, b"slow") == {(504, deadline): 2, (503, unavailable): 1}
    assert answers_of(running, 1, b"slow") == {(504, deadline): 1}
    running.stop()


def test_more_than_can_be_answered_in_time_are_refused_at_once(short_folder: Path) -> None:
    """What is answered after 5 s of 10 shows that 1.6 times as many can be borne as were in flight."""
    running = started_alone(short_folder, request_timeout_seconds=10)
    front = running.front
    assert answers_of(running, 10, b"slow") == {(200, ""): 10}  # nothing is known yet
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(running.post, "/predictions/digits", content=b"held") for _ in range(40)]
        wait_for(lambda: sum(each.done() for each in waiting) + running.held == 40)
        refused = [each.result() for each in waiting if each.done()]
        assert (
            40 - 16 <= len(refused) <= 40 - 4
        )  # the least that was learnt: of the third, who waited for two
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert running.do(front.in_flight("digits", "1.0-g0", "default")) == running.held
        running.release()
    assert answers_of(running, 1, b"") == {(200, ""): 1}  # quick again: nothing is known any more
    assert answers_of(running, 20, b"") == {(200, ""): 20}
    running.stop()


def test_a_canary_gets_its_share_of_what_names_no_version(running: RunningFront, post: Post) -> None:
    def served(path: str, count: int) -> Counter[str]:
        return Counter(post(path).headers["x-model-version"] for _ in range(count))

    running.do(running.front.set_canary("digits", "2.0", share=0.25))
    drawn = served("/predictions/digits", 800)
    assert 120 < drawn["2.0"] < 280  # 200 and six standard deviations
    assert served("/predictions/digits/1.0", 20) == {"1.0": 20}
    running.do(running.front.set_canary("digits", "2.0", share=1))
    assert served("/predictions/digits", 20) == {"2.0": 20}
    running.do(running.front.remove_canary("digits"))
    assert served("/predictions/digits", 20) == {"1.0": 20}


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MADE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-00")


@pytest.fixture
def seen(post: Post) -> Callable[..., tuple[dict[str, str], httpx.Response]]:
    """What TorchServe sees of the ids that a client sends, and the answer."""

    def ask(*pairs: tuple[str, str]) -> tuple[dict[str, str], httpx.Response]:
        answer = post("/predictions/digits", content=b"{}", headers=list(pairs))
        headers = answer.json()["headers"]
        return {name: headers[name] for name in ("traceparent", "x-request-id") if name in headers}, answer

    return ask


def test_a_trace_and_a_request_s_id_are_taken_passed_on_and_told(seen) -> None:
    passed_on, answer = seen(("traceparent", VALID), ("X-Request-Id", "order:17/a"))
    assert passed_on == {"traceparent": VALID, "x-request-id": "order:17/a"}
    assert answer.headers["traceparent"] == VALID
    assert answer.headers["x-request-id"] == "order:17/a"


def test_without_an_id_of_the_client_s_the_trace_s_is_the_request_s(seen) -> None:
    passed_on, answer = seen(("traceparent", VALID))
    assert passed_on == {"traceparent": VALID}
    assert answer.headers["x-request-id"] == VALID.split("-")[1]


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("traceparent", "nonsense")],
        [("traceparent", VALID.upper())],
        [("traceparent", VALID + "0")],
        [("traceparent", "ff" + VALID[2:])],
        [("traceparent", f"00-{'0' * 32}-b7ad6b7169203331-01")],
        [("traceparent", f"00-{'a' * 32}-{'0' * 16}-01")],
        [("traceparent", VALID), ("traceparent", VALID)],
        [("x-request-id", "")],
        [("x-request-id", "two words")],
        [("x-request-id", 'a"b')],
        [("x-request-id", "a" * 129)],
        [("x-request-id", "one"), ("x-request-id", "two")],
    ],
)
def test_what_is_no_valid_id_is_replaced(seen, pairs: list[tuple[str, str]]) -> None:
    passed_on, answer = seen(*pairs)
    made = (
        MADE.fullmatch(passed_on["traceparent"])
        if ("traceparent", VALID) not in pairs[:1] or pairs[1:]
        else None
    )
    assert made, passed_on
    assert set(made[1]) != {"0"}
    assert answer.headers["traceparent"] == made[0]
    assert answer.headers["x-request-id"] == passed_on.get("x-request-id", made[1]) == made[1]


def test_no_two_requests_get_the_same_id(seen) -> None:
    assert len({seen()[1].headers["x-request-id"] for _ in range(200)}) == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predictions/nosuch", 404),
        ("POST", "/predictions/digits/9.9", 404),
        ("GET", "/predictions/digits", 405),
        ("POST", "/elsewhere", 404),
        ("POST", "/predictions/digits", 504),
    ],
)
def test_a_problem_of_the_front_s_own_names_the_request(
    running: RunningFront, method: str, path: str, status: int
) -> None:
    for headers, expected in (
        ({"traceparent": VALID}, VALID.split("-")[1]),
        ({"x-request-id": "my-id"}, "my-id"),
    ):
        answer = running.client.request(method, path, content=b"slow", headers=headers)
        assert answer.status_code == status
        assert answer.json()["request_id"] == answer.headers["x-request-id"] == expected
        assert "x-statehouse-problem" not in answer.headers


def test_every_problem_is_told_in_a_line_and_nothing_else(running: RunningFront, post: Post) -> None:
    told: list[RequestEnd] = []
    receiver = OutcomeReceiver(running.runtime.outcomes_socket, told.append)
    post("/begin")
    wait_for(lambda: any(end.path == "/begin" for end in told))
    told.clear()
    for _ in range(20):
        assert post("/predictions/digits").status_code == 200
    post("/predictions/nosuch?secret=1", headers={"x-request-id": "a-1"})
    post("/predictions/digits/9.9", headers={"traceparent": VALID})
    post("/predictions/digits", content=b"slow")
    running.client.get("/v2/models/nosuch")
    post("/end/" + "x" * 300)
    wait_for(lambda: bool(told) and told[-1].path.startswith("/end/"))
    receiver.close()
    running.runtime.outcomes_socket.unlink()
    kinds = [(end.status, end.kind, end.name, end.version, end.path[:30]) for end in told]
    assert kinds == [
        (404, "no-such-model", "nosuch", "", "/predictions/nosuch"),
        (404, "no-such-version", "digits", "9.9", "/predictions/digits/9.9"),
        (504, "deadline", "digits", running.front.default_of("digits"), "/predictions/digits"),
        (404, "no-such-path", "", "", "/end/" + "x" * 25),
    ]
    assert told[0].request_id == "a-1"
    assert told[1].trace_id == told[1].request_id == VALID.split("-")[1]


def test_when_asked_for_every_request_is_told(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60, log_requests=True)
    running.do(running.front.set_token("secret"))
    running.do(running.front.set_lanes("digits", "1.0", [("1.0-b8", None)], loading="1.0-g0", digest=DIGEST))
    running.do(running.front.set_default("digits", "1.0"))
    told: list[RequestEnd] = []
    receiver = OutcomeReceiver(running.runtime.outcomes_socket, told.append)
    for number in range(5):
        running.client.post("/predictions/digits", content=b"{}", headers={"x-request-id": f"n{number}"})
    wait_for(lambda: len(told) == 5)
    assert [(end.status, end.request_id, end.is_problem) for end in told] == [
        (200, f"n{number}", False) for number in range(5)
    ]
    receiver.close()
    running.stop()


def test_what_was_counted_is_read_by_version(running: RunningFront, post: Post) -> None:
    front = running.front
    running.do(front.set_lanes("counted", "1.0", [("1.0-b8", None)], loading="1.0-g3", digest=DIGEST))
    running.do(front.set_default("counted", "1.0"))
    before = running.do(front.statistics())
    for path, times in (
        ("/predictions/counted", 7),
        ("/predictions/counted/1.0", 2),
        ("/predictions/nosuch", 3),
    ):
        for _ in range(times):
            post(path)
    uncounted = {"x-statehouse-uncounted": front.uncounted_secret}
    assert post("/predictions/counted/1.0", headers=uncounted).status_code == 200
    wait_for(
        lambda: sum(running.do(front.statistics()).responses.values()) >= sum(before.responses.values()) + 13
    )
    after = running.do(front.statistics())
    key = ("counted", "1.0", 3)
    assert {how: after.requests[Tracked(*key, how)] for how in ("default", "explicit")} == {
        "default": 7,
        "explicit": 2,
    }
    assert set(after.in_flight.values()) == {0}
    grown = {name: count - before.responses[name] for name, count in after.responses.items()}
    assert grown == {"1xx": 0, "2xx": 10, "3xx": 0, "4xx": 3, "5xx": 0, "other": 0}
    running.do(front.remove_default("counted"))
    running.do(front.remove_lane("counted", "1.0"))


def test_the_outcomes_of_a_watched_model_are_told_and_of_no_other(patient: RunningFront) -> None:
    """Hundreds at once as well."""
    running, post = patient, patient.post
    running.do(running.front.watch("digits"))
    told: list[RequestEnd] = []
    receiver = OutcomeReceiver(running.runtime.outcomes_socket, told.append)
    post("/the-last-of-all-before")
    wait_for(lambda: any(end.path == "/the-last-of-all-before" for end in told))
    receiver.begin("digits")
    receiver.begin("loading")
    post("/predictions/loading/1.0")
    post("/predictions/digits/2.0")
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(post, ["/predictions/digits"] * 500))
    running.do(running.front.unwatch("digits"))
    post("/predictions/digits")
    found: Counter[tuple[str, int]] = Counter()
    deadline = time.monotonic() + 240
    while found.total() < 501 and time.monotonic() < deadline:
        found.update({(v, each.failed): each.served for v, each in receiver.take("digits").items()})
        time.sleep(0.05)
    time.sleep(0.2)
    assert found == {("1.0", 0): 500, ("2.0", 0): 1}
    assert receiver.take("digits") == receiver.take("loading") == {}
    receiver.close()
    running.runtime.outcomes_socket.unlink()


def test_a_retired_version_says_so_until_it_is_loaded_again(running: RunningFront, post: Post) -> None:
    front = running.front
    running.do(front.remove_lane("digits", "2.0", retired=True))
    answer = post("/predictions/digits/2.0")
    assert answer.status_code == 410
    assert "digits/2.0 was retired" in answer.json()["detail"]
    running.do(front.set_lanes("digits", "2.0", [("2.0-b8", None)], loading="2.0-b8", digest=DIGEST))
    assert post("/predictions/digits/2.0").status_code == 200


def test_a_removed_version_is_gone_at_once(running: RunningFront, post: Post) -> None:
    running.do(running.front.set_lanes("digits", "3.0", [("3.0-b8", None)], loading="3.0-b8", digest=DIGEST))
    assert post("/predictions/digits/3.0").status_code == 200
    running.do(running.front.remove_lane("digits", "3.0"))
    assert post("/predictions/digits/3.0").status_code == 404


def test_a_front_that_starts_again_knows_what_it_knew(running: RunningFront) -> None:
    lanes = (running.runtime.maps / "lanes.map").read_text()
    assert "digits/1.0 1.0-b8|1||1.0-b8\n" in lanes
    assert (running.runtime.maps / "defaults.map").read_text() == "digits 1.0\n"
    assert (running.runtime.maps / "token.map").stat().st_mode & 0o777 == 0o600


def raw_request(running: RunningFront, text: str) -> str:
    with socket.create_connection(running.listener.getsockname(), timeout=10) as connection:
        connection.sendall(text.encode())
        received = b""
        while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
            received += (chunk := connection.recv(65536))
            if not chunk:
                break
    return received.decode()


def problem_in(raw: str) -> dict[str, Any]:
    problem = json.loads(raw.partition("\r\n\r\n")[2])
    assert problem["error"] == problem["detail"]  # where the Open Inference Protocol's clients look
    return problem
