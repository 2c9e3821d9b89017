"""Where the console and its JSON are found, on the reader's port and, under /console, through the front."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from statehouse.scripts.access.this_machine import ForThisMachine
from statehouse.scripts.reader.console.data import ConsoleData
from statehouse.scripts.reader.console.page import Page
from statehouse.scripts.supervisor.parts import ServerParts

CONSOLE = "/console/"
PATHS = {
    "/console/": "all of this for people; through the front too, where requests can be tried",
    "/status": "what `statehouse status` shows",
    "/live": "figures of the last 10 s, minute and 5 minutes, by version and of all, and their course",
    "/history": "every change, newest first; ?limit=N",
    "/openapi.json": "what can be asked of every version, and the answers: OpenAPI 3.1",
}


def web_routes(parts: ServerParts, described: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the console's routes; its page finds ``described``, the reader's own, beside its data."""
    data, page = ConsoleData(parts), Page()
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
