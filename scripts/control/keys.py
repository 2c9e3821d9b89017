"""The control socket's part for keys. A key is in one answer and nowhere else; the journal has names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from statehouse.scripts.access.client_keys import Client, ClientLimits, ClientName
from statehouse.scripts.deployment.journal import now_text
from statehouse.scripts.deployment.section import Section
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.validation import dotted, problems_of

Json = dict[str, Any]


class KeyRequest(Section):
    """What a command asks for; limits that are not given stay as they are."""

    client: ClientName
    limits: dict[str, int | bool] = Field(default_factory=dict)
    keep_seconds: float = Field(default=0, ge=0)
    user: str
    host: str


def key_routes(parts: ServerParts) -> list[Route]:
    """Return the routes below ``/keys``."""
    keys = _Keys(parts)
    return [Route("/keys", keys.listed), Route("/keys/{action}", keys.change, methods=["POST"])]


class _Keys:
    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self._changing = asyncio.Lock()

    async def listed(self, request: Request) -> Response:
        clients = self._parts.gate.keys.clients
        return JSONResponse({"clients": [_told(name, client) for name, client in sorted(clients.items())]})

    async def change(self, request: Request) -> Response:
        keys = self._parts.gate.keys
        actions: dict[str, Callable[[KeyRequest], str | None]] = {
            "add": lambda wanted: keys.add(wanted.client, ClientLimits.model_validate(wanted.limits)),
            "rotate": lambda wanted: keys.rotate(wanted.client, keep_seconds=wanted.keep_seconds),
            "limit": lambda wanted: keys.limit(wanted.client, wanted.limits),
            "revoke": lambda wanted: keys.revoke(wanted.client),
        }
        action = request.path_params["action"]
        if action not in actions:
            raise ArgumentError(f"Keys cannot be {action!r}; there are: {', '.join(actions)}.")
        try:
            wanted = KeyRequest.model_validate_json(await request.body())
            async with self._changing:
                key = actions[action](wanted)
                await self._parts.gate.tell(self._parts.front)
        except ValidationError as error:
            raise ArgumentError("; ".join(problems_of(error, dotted))) from error
        self._parts.journal.append(_entry(action, wanted))
        client = keys.clients.get(wanted.client)
        return JSONResponse(
            {"key": key} | (_told(wanted.client, client) if client else {"client": wanted.client})
        )


def _told(name: str, client: Client) -> Json:
    return {
        "client": name,
        **client.limits.model_dump(),
        "keys": [
            {"added": key.added, "until_unix_seconds": key.until_unix_seconds}
            for key in client.keys
            if key.is_valid
        ],
    }


def _entry(action: str, wanted: KeyRequest) -> Json:
    nothing: Json = {
        "from": None,
        "to": None,
        "steps": [],
        "reason": None,
        "serving": None,
        "slowest_seconds": None,
    }
    return {
        "when": now_text(),
        "kind": f"key {action}",
        "name": wanted.client,
        "user": wanted.user,
        "host": wanted.host,
        **nothing,
        "outcome": "done",
        "seconds": 0,
        "requests": None,
        "failed": None,
    }
