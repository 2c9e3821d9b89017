"""The JSON that the console reads, and anyone else may: what serves, what is counted, what was changed."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scripts import __version__
from scripts.journal import TRIAL, Entry
from scripts.status import status_of
from scripts.supervisor import Supervisor
from scripts.web.guard import CLIENT_HEADER
from scripts.web.live import VersionCounts, counts_by_version
from scripts.web.openapi import openapi_of

Json = dict[str, Any]
NOT_KEPT = {"cache-control": "no-store"}
# However many look, the workers' files are read once in this time.
FRESH_SECONDS = 1.0
SHOWN_CHANGES, MOST_CHANGES = 50, 1000
# Where things lie on this machine is its owner's business.
_OWNERS = ("deployment", "model_store", "log")


class ConsoleData:
    """Answers about one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._looking = asyncio.Lock()
        self._looked = -FRESH_SECONDS
        self._live: Json = {}

    async def status(self, request: Request) -> Response:
        """What `statehouse status` shows, but for the paths."""
        supervisor = self._supervisor
        status = await status_of(supervisor)
        told = {key: value for key, value in status.items() if key not in _OWNERS}
        about = {
            "statehouse": __version__,
            "stopping": supervisor.stopping,
            "changing": supervisor.running_change,
            "edited": supervisor.deployment_was_edited(),
            "through_front": CLIENT_HEADER in request.headers,
        }
        return JSONResponse(told | about, headers=NOT_KEPT)

    async def live(self, request: Request) -> Response:
        """Requests, latency histograms, rows in flight and queued requests of every version."""
        async with self._looking:
            if time.monotonic() - self._looked >= FRESH_SECONDS:
                self._live = await self._look()
                self._looked = time.monotonic()
        return JSONResponse(self._live, headers=NOT_KEPT)

    async def _look(self) -> Json:
        supervisor = self._supervisor
        await supervisor.look()
        at_seconds = time.monotonic()
        # Milliseconds per version: not in the event loop.
        counts = await asyncio.to_thread(lambda: counts_by_version(supervisor.metrics.collect()))
        versions = [
            {
                "name": loaded.name,
                "version": loaded.version,
                "queued_requests": loaded.queued_requests,
                **counts.get((loaded.name, loaded.version), VersionCounts()).to_json(),
            }
            for loaded in supervisor.versions.values()
        ]
        return {"at_seconds": at_seconds, "versions": versions}

    async def history(self, request: Request) -> Response:
        """The latest changes, newest first; `?limit=` says how many."""
        limit = _limit(request.query_params.get("limit", str(SHOWN_CHANGES)))
        changes = await asyncio.to_thread(lambda: list(self._supervisor.journal.read()))
        told = [change for change in changes if not _is_trial(change)]
        newest = list(islice(reversed(told), limit))
        return JSONResponse({"changes": newest, "total": len(told)}, headers=NOT_KEPT)

    async def openapi(self, request: Request) -> Response:
        """The description of all that can be asked of the versions that are loaded."""
        supervisor = self._supervisor
        document = openapi_of(
            supervisor.versions.values(), supervisor.front.default_of, supervisor.addresses.url("front")
        )
        return JSONResponse(document, headers=NOT_KEPT)


def _is_trial(change: Entry) -> bool:
    return (change.get("kind"), change["outcome"]) == (TRIAL, "done")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_CHANGES):
        raise HTTPException(400, f"limit is {text[:40]!r}; expected a number from 1 to {MOST_CHANGES}.")
    return int(text)
