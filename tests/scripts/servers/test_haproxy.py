"""The front as HAProxy really runs it, before doors that answer with what they were sent."""

import asyncio
import csv
import json
import re
import shutil
import signal
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
from tests.support.fake_door import FakeDoor

from statehouse.scripts.access.certificate import Certificate
from statehouse.scripts.errors import FrontError
from statehouse.scripts.servers.haproxy import Door, Front
from statehouse.scripts.servers.haproxy_statistics import Tracked
from statehouse.scripts.servers.local_http import LocalServer
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.traffic.outcomes import OutcomeReceiver
from statehouse.scripts.traffic.request_end import RequestEnd

LIMIT_BYTES = 1000
DIGEST = "ab" * 32
LOOPBACK = ("127.0.0.1", 0)


async def told(request: Request) -> Response:
    """The supervisor's place."""
    received = len(await request.body())
    asked = {"supervisor": request.url.path, "received": received}
    if request.url.path.startswith("/console"):
        asked["client"] = request.headers["x-statehouse-client"]
    return JSONResponse(asked, 413 if received else 200)


class RunningFront:
    """A front with a supervisor and doors, in an event loop of their own thread."""

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
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.runtime = RuntimeFolder(folder / "r")
        self.runtime.create()
        self.runtime.make_folders()
        self.listener = socket.create_server(LOOPBACK)
        reader = socket.create_server(LOOPBACK)
        methods = ["GET", "POST", "PUT"]
        supervisor = Starlette(routes=[Route("/{path:path}", told, methods=methods)])
        self.doors: list[FakeDoor] = []
        self.doors_opened = 0
        self.slots: dict[tuple[str, str], int] = {}
        self.supervisor = LocalServer(supervisor, reader)
        self.front = Front(
            self.runtime,
            supervisor_address=f"127.0.0.1:{reader.getsockname()[1]}",
            max_request_bytes=max_request_bytes,
            request_timeout_seconds=request_timeout_seconds,
            on_line=lambda line: None,
            say=lambda text: None,
            log_requests=log_requests,
            has_certificate=certificate is not None,
            **access,
        )
        if certificate is not None:
            Certificate([certificate], self.runtime.certificate).take()
        for start in (self.supervisor.start(), self.front.start(self.listener)):
            self.do(start)
        scheme = "https" if certificate is not None else "http"
        url = f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.client = httpx.Client(base_url=url, verify=False)

    def do(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(timeout=60)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.client.post(path, timeout=120, **kwargs)

    def serve(self, name: str, version: str, *, load_id: str = "", at_once: int = 64) -> FakeDoor:
        """Let a version be served by a door of its own, in a slot of its own."""
        slot = self.slots.setdefault((name, version), -1)
        if slot < 0:
            slot = self.slots[name, version] = self.front.take_slot()
        door = self.add_door(slot, f"{name}/{version}", at_once=at_once)
        self.route(name, version, load_id=load_id)
        return door

    def route(self, name: str, version: str, *, load_id: str = "") -> None:
        slot = self.slots[name, version]
        settings = {"load_id": load_id or f"{version}-g0", "digest": DIGEST}
        self.do(self.front.set_route(name, version, slot, **settings))

    def add_door(self, slot: int, name: str, *, at_once: int = 64) -> FakeDoor:
        """Open a door, at a path that no other has had, and put it in a slot."""
        described = self.describe_door(at_once)
        door = FakeDoor(name, described.socket, described.large_socket)
        self.do(door.start())
        self.doors.append(door)
        self.do(self.front.add_door(slot, described))
        return door

    def describe_door(self, at_once: int = 64) -> Door:
        self.doors_opened += 1
        worker, folder = f"w{self.doors_opened}", self.runtime.path
        return Door(worker, folder / f"{worker}.s", folder / f"{worker}.l", at_once, at_once)

    def release(self) -> None:
        """Let all that is held be answered, and what comes from now on at once."""
        for door in self.doors:
            self.loop.call_soon_threadsafe(door.released.set)

    @property
    def held(self) -> int:
        return sum(door.held for door in self.doors)

    def kill(self, door: FakeDoor) -> None:
        """End a door, and return when the front has found it down, without anybody having asked."""
        self.do(door.stop())
        self.doors.remove(door)
        worker = door.socket.stem
        wait_for(lambda: self.status_of(worker).startswith("DOWN"))

    def status_of(self, worker: str) -> str:
        rows = self.rows()
        return next(row["status"] for row in rows if row["svname"] == worker)

    def taken(self) -> int:
        """How many requests the front has read the heads of."""
        return int(self.statistics("clients", "FRONTEND")["req_tot"])

    def statistics(self, proxy: str, server: str) -> dict[str, str]:
        [row] = [row for row in self.rows() if (row["pxname"], row["svname"]) == (proxy, server)]
        return row

    def rows(self) -> list[dict[str, str]]:
        shown = self.do(self.front._ask("show stat")).removeprefix("# ")
        return list(csv.DictReader(shown.splitlines()))

    def stop(self) -> None:
        self.client.close()
        self.listener.close()
        for stop in (self.front.drain(), *(door.stop() for door in self.doors), self.supervisor.stop()):
            self.do(stop)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@contextmanager
def serving(request_timeout_seconds: int) -> Iterator[RunningFront]:
    """A front of digits 1.0, the default, and 2.0, and of a name that is loading."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = RunningFront(folder, request_timeout_seconds=request_timeout_seconds)
    for version in ("1.0", "2.0"):
        running.serve("digits", version)
    running.do(running.front.set_default("digits", "1.0"))
    running.serve("loading", "1.0")
    yield running
    running.stop()
    shutil.rmtree(folder)


def started_alone(folder: Path, *, request_timeout_seconds: int, at_once: int = 64) -> RunningFront:
    """A front of digits 1.0 alone, by one door."""
    running = RunningFront(folder, request_timeout_seconds=request_timeout_seconds)
    running.serve("digits", "1.0", at_once=at_once)
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
    ("path", "door", "form"),
    [
        ("/predictions/digits", "digits/1.0", "/predictions"),
        ("/predictions/digits/", "digits/1.0", "/predictions"),
        ("/predictions/digits/2.0", "digits/2.0", "/predictions"),
        ("/predictions/loading/1.0", "loading/1.0", "/predictions"),
        ("/v1/models/digits:predict", "digits/1.0", "/v1"),
        ("/v2/models/digits/infer", "digits/1.0", "/v2"),
        ("/v2/models/digits/versions/2.0/infer", "digits/2.0", "/v2"),
        ("/openai/digits/v1/embeddings", "digits/1.0", "/openai"),
        ("/openai/digits/2.0/v1/embeddings", "digits/2.0", "/openai"),
    ],
)
def test_every_form_of_url_reaches_its_door(post: Post, path: str, door: str, form: str) -> None:
    answer = post(path, content=b"{}")
    assert (answer.json()["door"], answer.json()["path"]) == (door, form)
    assert answer.headers["x-model-version"] == door.split("/")[1]
    assert answer.headers["x-model-digest"] == DIGEST


def test_a_flip_is_for_the_next_request(running: RunningFront, post: Post) -> None:
    running.do(running.front.set_default("digits", "2.0"))
    assert post("/predictions/digits").json()["door"] == "digits/2.0"
    running.do(running.front.set_default("digits", "1.0"))
    assert post("/predictions/digits").json()["door"] == "digits/1.0"


def test_what_clients_may_not_say_is_replaced(post: Post) -> None:
    headers = {"authorization": "Bearer mine", "url_path": "v2", "x-kept": "yes"}
    told = [("x-statehouse-arrival", "1"), ("X-Statehouse-Arrival", "2")]
    before = time.time()
    answer = post("/predictions/digits?query=1", headers=[*headers.items(), *told])
    seen = answer.json()
    assert not {"authorization", "url_path"} & set(seen["headers"])
    assert seen["headers"]["x-kept"] == "yes"
    assert seen["path"] == "/predictions"
    assert before - 1 < int(seen["headers"]["x-statehouse-arrival"]) / 1e6 < time.time() + 1


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
        {"inference-header-content-length": "2"},
        {"x-statehouse-timing": "yes"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_workers_read_is_passed_on(post: Post, headers: dict[str, str]) -> None:
    assert headers.items() <= post("/predictions/digits", headers=headers).json()["headers"].items()


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


def test_that_it_is_live_the_front_says_itself(running: RunningFront) -> None:
    assert running.client.get("/v2/health/live").json() == {"live": True}
    assert running.client.head("/v2/health/live").status_code == 200
    assert running.client.post("/v2/health/live").json()["supervisor"] == "/v2/health/live"


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


@pytest.mark.parametrize("status", [400, 408, 413, 500, 503])
def test_what_a_door_refuses_passes_as_it_is(post: Post, status: int) -> None:
    answer = post("/predictions/digits", content=f"refuse {status} as a worker".encode())
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["type"] == "urn:statehouse:problem:of-door"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-model-version"] == "of-worker"
    assert "x-statehouse-problem" not in answer.headers


def test_requests_wait_for_a_version_that_is_loaded_again(patient: RunningFront) -> None:
    running, front, post = patient, patient.front, patient.post
    running.serve("digits", "4.0")
    running.do(front.hold("digits", "4.0"))
    with ThreadPoolExecutor(4) as pool:
        before = running.taken()
        waiting = [pool.submit(post, "/predictions/digits/4.0") for _ in range(4)]
        wait_for(lambda: running.taken() == before + 4)
        assert not any(each.done() for each in waiting)
        running.route("digits", "4.0", load_id="4.0-g1")
        assert {each.result().json()["door"] for each in waiting} == {"digits/4.0"}
    running.do(front.remove_route("digits", "4.0"))


def test_no_request_waits_for_a_version_longer_than_the_deadline(running: RunningFront, post: Post) -> None:
    front = running.front
    running.serve("digits", "4.0")
    running.do(front.hold("digits", "4.0"))
    answer = post("/predictions/digits/4.0")
    assert (answer.status_code, answer.headers["x-model-version"]) == (503, "4.0")
    assert answer.json()["type"] == "urn:statehouse:problem:unavailable"
    running.do(front.remove_route("digits", "4.0"))


def test_who_asks_for_a_version_without_a_worker_is_told_why(running: RunningFront, post: Post) -> None:
    front = running.front
    running.serve("letters", "4.0")
    running.do(front.set_default("letters", "4.0"))
    again = "Send the request again shortly."
    running.do(front.set_down("letters", "4.0", why="its files; are no more. See `status`"))
    told = "has no worker: its files; are no more. See `status`."
    for path, whose in {"": "letters 4.0, the default,", "/4.0": "letters 4.0"}.items():
        answer = post(f"/predictions/letters{path}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["detail"] == answer.json()["error"] == f"{whose} {told} {again}"
    running.do(front.hold("letters", "4.0", why="its workers ended"))
    assert (
        post("/predictions/letters/4.0").json()["detail"].startswith("letters 4.0 has no worker: its workers")
    )
    running.do(front.hold("letters", "4.0"))
    told = "letters 4.0 has no worker: it is being started."
    assert post("/predictions/letters/4.0").json()["detail"] == f"{told} {again}"
    running.do(front.remove_default("letters"))
    running.do(front.remove_route("letters", "4.0"))


LARGE_BYTES = 300_000


@pytest.fixture(scope="module")
def roomy() -> Iterator[RunningFront]:
    """A front that takes large bodies."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    running = RunningFront(folder, request_timeout_seconds=60, max_request_bytes=10 * LARGE_BYTES)
    running.serve("digits", "1.0")
    running.do(running.front.set_default("digits", "1.0"))
    yield running
    running.stop()
    shutil.rmtree(folder)


def in_chunks(size: int, of: int = 1000) -> Iterator[bytes]:
    for start in range(0, size, of):
        yield b" " * min(of, size - start)


@pytest.mark.parametrize(
    ("body", "large"),
    [
        (b" " * 20_000, False),
        (b" " * 32_000, True),
        (b" " * LARGE_BYTES, True),
        (in_chunks(20_000), False),
        (in_chunks(3000, of=1), False),
        (in_chunks(32_000), True),
        (in_chunks(LARGE_BYTES, of=3), True),
        (in_chunks(LARGE_BYTES), True),
    ],
    ids=["fits", "does not", "large", "chunks", "tiny chunks", "chunks too many", "tiny ones", "many"],
)
def test_what_does_not_fit_the_buffer_goes_to_the_other_socket(
    roomy: RunningFront, body: Any, large: bool
) -> None:
    wanted = len(body) if isinstance(body, bytes) else None
    answer = roomy.post("/predictions/digits", content=body).json()
    assert answer["large"] is large
    assert wanted in (None, answer["received"])


@pytest.mark.parametrize("count", [1, 90])
def test_a_body_of_784_numbers_is_small_behind_all_headers_that_may_be(
    roomy: RunningFront, count: int
) -> None:
    headers = {f"x-{number:02}": "y" * (6500 // count - 8) for number in range(count)}
    answer = roomy.post("/predictions/digits", content=b" " * 9500, headers=headers)
    assert answer.json()["large"] is False
    assert roomy.post("/predictions/digits", headers={"x": "y" * 7000}).status_code == 431


def test_what_is_in_flight_is_known_by_version_and_by_how_it_was_asked_for(short_folder: Path) -> None:
    running = RunningFront(short_folder, request_timeout_seconds=60)
    front = running.front
    running.serve("digits", "1.0")
    running.do(front.set_default("digits", "1.0"))

    def in_flight() -> tuple[int, int]:
        return tuple(running.do(front.in_flight("digits", "1.0-g0", how)) for how in ("default", "explicit"))

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
    running = started_alone(short_folder, request_timeout_seconds=2, at_once=2)
    unavailable, deadline = "urn:statehouse:problem:unavailable", "urn:statehouse:problem:deadline"
    assert answers_of(running, 6, b"slow") == {(504, deadline): 2, (503, unavailable): 4}
    assert answers_of(running, 1, b"slow") == {(504, deadline): 1}
    running.stop()


def test_more_than_can_be_borne_are_refused_at_once(short_folder: Path) -> None:
    running = started_alone(short_folder, request_timeout_seconds=60, at_once=4)
    front, slot = running.front, running.slots["digits", "1.0"]
    running.do(front.set_most_waiting(slot, 10))
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(running.post, "/predictions/digits", content=b"held") for _ in range(40)]
        wait_for(lambda: sum(each.done() for each in waiting) == 30)
        refused = [each.result() for each in waiting if each.done()]
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert (running.held, running.do(front.doors(slot)).waiting) == (4, 6)
        assert running.do(front.in_flight("digits", "1.0-g0", "default")) == 10
        uncounted = {"x-statehouse-uncounted": front.uncounted_secret}
        golden = pool.submit(running.post, "/predictions/digits/1.0", headers=uncounted)
        wait_for(lambda: running.do(front.doors(slot)).waiting == 7)
        running.release()
        assert golden.result().status_code == 200
        assert Counter(each.result().status_code for each in waiting) == {200: 10, 503: 30}
    running.do(front.set_most_waiting(slot, None))
    assert answers_of(running, 20, b"wait 50") == {(200, ""): 20}
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
    """What a worker sees of the ids that a client sends, and the answer."""

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
    running.serve("digits", "1.0")
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
    running.serve("counted", "1.0", load_id="1.0-g3")
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
    running.do(front.remove_route("counted", "1.0"))


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
    post("/the-last-of-all-after")
    wait_for(lambda: any(end.path == "/the-last-of-all-after" for end in told))
    assert found == {("1.0", 0): 500, ("2.0", 0): 1}
    assert receiver.take("digits") == receiver.take("loading") == {}
    receiver.close()
    running.runtime.outcomes_socket.unlink()


def test_a_retired_version_says_so_until_it_is_loaded_again(running: RunningFront, post: Post) -> None:
    front = running.front
    running.do(front.remove_route("digits", "2.0", retired=True))
    answer = post("/predictions/digits/2.0")
    assert answer.status_code == 410
    assert "digits/2.0 was retired" in answer.json()["detail"]
    running.route("digits", "2.0")
    assert post("/predictions/digits/2.0").status_code == 200


def test_a_removed_version_is_gone_at_once(running: RunningFront, post: Post) -> None:
    running.serve("digits", "3.0")
    assert post("/predictions/digits/3.0").status_code == 200
    running.do(running.front.remove_route("digits", "3.0"))
    assert post("/predictions/digits/3.0").status_code == 404


def test_a_front_that_starts_again_knows_what_it_knew(running: RunningFront) -> None:
    slot = running.slots["digits", "1.0"]
    assert f"digits/1.0 {slot}|1.0-g0\n" in (running.runtime.maps / "routes.map").read_text()
    assert (running.runtime.maps / "defaults.map").read_text() == "digits 1.0\n"
    assert (running.runtime.maps / "routes.map").stat().st_mode & 0o777 == 0o600


def test_a_front_that_does_not_take_a_door_at_its_start_does_not_run_beside_the_next(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(slot: int, door: Door) -> None:
        raise FrontError("no room")

    running = RunningFront(short_folder)
    running.serve("digits", "1.0")
    running.do(running.front.process.stop(with_signal=signal.SIGKILL, grace_seconds=5))
    monkeypatch.setattr(running.front, "_tell_door", refuse)
    with pytest.raises(FrontError, match="no room"):
        running.do(running.front.start(running.listener))
    assert not running.front.process.running
    running.stop()


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
