"""Ten times what the server can bear: every request is answered, well or with "not now"; then all is as before."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of

TEN_MS = (body_of(10.01, 2, 3, 4),)  # one worker, one at a time: 100 per second and not more


def test_ten_times_the_capacity(make_server: Callable[[], FaultyServer]) -> None:
    server = make_server()
    server.publish("1.0")
    server.deploy("1.0", batch_size=1, limits={"request_timeout_seconds": 5})
    server.start()
    [pid] = server.model("moody", "1.0")["workers"]["pids"]
    with server.load(rate=1000, connections=64, bodies=TEN_MS, max_connections=2000) as load:
        server.wait_until(lambda: load.answered > 3000)
    counted = load.result
    assert counted.statuses.keys() <= {200, 429, 503}
    assert counted.statuses[200] > 0
    assert not counted.errors
    server.wait_until(lambda: server.ask("moody").status_code == 200)  # what still waits is worked off
    server.wait_until(server.is_ready)
    with server.load(rate=20) as after:
        server.wait_until(lambda: after.answered > 50)
    assert after.result.answers.keys() == {(200, "1.0")}
    assert not after.result.errors
    assert server.model("moody", "1.0")["workers"]["pids"] == [pid]
