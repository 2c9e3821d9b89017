"""Where the console and its JSON are found, on the reader's port and, under /console, through the front."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from scripts.supervisor import Supervisor
from scripts.web.data import ConsoleData
from scripts.web.guard import ForThisMachine
from scripts.web.page import Page

CONSOLE = "/console/"
PATHS = {
    "/console/": "all of this for people; through the front too, where requests can be tried",
    "/status": "what `statehouse status` shows",
    "/live": "requests, latency histograms and queues by version: counts so far",
    "/history": "every change, newest first; ?limit=N",
    "/openapi.json": "what can be asked of every version, and the answers: OpenAPI 3.1",
}


def web_routes(supervisor: Supervisor, described: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the console's routes; its page finds ``described``, the reader's own, beside its data."""
    data, page = ConsoleData(supervisor), Page()
    about_people = Middleware(ForThisMachine)
    told = [
        Route("/status", data.status, middleware=[about_people]),
        Route("/live", data.live, middleware=[about_people]),
        Route("/history", data.history, middleware=[about_people]),
        Route("/openapi.json", data.openapi),
    ]
    console = [
        Mount("/data", routes=[*told, *described]),
        Route("/", page.file),
        Route("/{file}", page.file),
    ]
    return [
        *told,
        Route("/console", to_console),
        Mount("/console", routes=console, middleware=[about_people]),
    ]


async def to_console(request: Request) -> Response:
    """Send a browser to the page; relative, because a tunnel may have given us another port."""
    return RedirectResponse(CONSOLE)


def wants_page(request: Request) -> bool:
    """Whether a browser asks, which takes HTML, rather than a program."""
    return "text/html" in request.headers.get("accept", "")
