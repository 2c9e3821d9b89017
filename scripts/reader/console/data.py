"""The JSON that the console reads, and anyone else may: what serves, what is counted, what was changed."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from statehouse import __version__
from statehouse.scripts.access.this_machine import CLIENT_HEADER
from statehouse.scripts.deployment.journal import TRIAL, Entry
from statehouse.scripts.reader.console.live import live_of
from statehouse.scripts.reader.openapi.document import openapi_of
from statehouse.scripts.reader.status import status_of
from statehouse.scripts.supervisor.parts import ServerParts

Json = dict[str, Any]
NOT_KEPT = {"cache-control": "no-store"}
SHOWN_CHANGES, MOST_CHANGES = 50, 1000
# Where things lie on this machine is its owner's business.
_OWNERS = ("deployment", "model_store", "log")


class ConsoleData:
    """Answers about one supervisor."""

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts

    async def status(self, request: Request) -> Response:
        """What `statehouse status` shows, but for the paths."""
        parts = self._parts
        status = await status_of(parts)
        told = {key: value for key, value in status.items() if key not in _OWNERS}
        about = {
            "statehouse": __version__,
            "stopping": parts.turn.stopping,
            "wants_versions": bool(parts.desired.deployment.models),
            "edited": parts.desired.was_edited(),
            "through_front": CLIENT_HEADER in request.headers,
        }
        return JSONResponse(told | about, headers=NOT_KEPT)

    async def live(self, request: Request) -> Response:
        """Figures of the last seconds and minutes, and the course of the latter, by version and of all."""
        return JSONResponse(live_of(self._parts), headers=NOT_KEPT)

    async def history(self, request: Request) -> Response:
        """The latest changes, newest first; `?limit=` says how many."""
        limit = _limit(request.query_params.get("limit", str(SHOWN_CHANGES)))
        changes = await asyncio.to_thread(lambda: list(self._parts.journal.read()))
        told = [change for change in changes if not _is_trial(change)]
        newest = list(islice(reversed(told), limit))
        return JSONResponse({"changes": newest, "total": len(told)}, headers=NOT_KEPT)

    async def openapi(self, request: Request) -> Response:
        """The description of all that can be asked of the versions that are loaded."""
        parts = self._parts
        document = openapi_of(
            parts.fleet.versions.values(), parts.front.default_of, parts.addresses.url("front")
        )
        return JSONResponse(document, headers=NOT_KEPT)


def _is_trial(change: Entry) -> bool:
    return (change.get("kind"), change["outcome"]) == (TRIAL, "done")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_CHANGES):
        raise HTTPException(400, f"limit is {text[:40]!r}; expected a number from 1 to {MOST_CHANGES}.")
    return int(text)
