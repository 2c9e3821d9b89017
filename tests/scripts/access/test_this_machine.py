"""Who may see the console: its own machine, by its own name."""

from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from statehouse.scripts.access.this_machine import ForThisMachine


async def shown(request: Request) -> Response:
    return PlainTextResponse("shown")


Answer = Callable[..., httpx.Response]


@pytest.fixture
def answer(ask) -> Answer:
    """What is answered to a request with these headers."""

    def answer(**headers: str) -> httpx.Response:
        guard = Middleware(ForThisMachine)
        app = Starlette(routes=[Route("/status", shown, middleware=[guard])])
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return ask(app).get("/status", headers=named)

    return answer


@pytest.mark.parametrize("host", ["127.0.0.1:8090", "localhost:9999", "LOCALHOST", "127.8.8.8", "[::1]:8090"])
def test_this_machine_may_whatever_port_a_tunnel_gave_it(answer: Answer, host: str) -> None:
    assert answer(host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8090", "", "::1"])
def test_another_name_for_it_may_not(answer: Answer, host: str) -> None:
    told = answer(host=host)
    assert told.status_code == 403
    assert "127.0.0.1" in told.text


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded"])
def test_nor_may_a_proxy(answer: Answer, header: str) -> None:
    told = answer(**{header: "203.0.113.9"})
    assert told.status_code == 403
    assert header.replace("_", "-") in told.text


def test_through_the_front_only_this_machine_may(answer: Answer) -> None:
    assert answer(host="127.0.0.1", x_statehouse_client="127.0.0.1").status_code == 200
    told = answer(host="127.0.0.1", x_statehouse_client="10.0.0.7")
    assert told.status_code == 403
    assert "10.0.0.7" in told.text
