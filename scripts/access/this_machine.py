"""Who may look at what is for this machine: its own programs and browsers.

The journal says who changed what. So a page of somebody else's must not read it through a name of its own that
leads here (DNS rebinding), nor a client for whom a proxy asks.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from statehouse.scripts.machine import is_loopback

CLIENT_HEADER = "x-statehouse-client"  # the front says there whom it asks for
FORWARDED_HEADERS = ("forwarded", "x-forwarded-for")


class ForThisMachine:
    """Lets through whom an application is for. The reader's other paths tell nothing about people and need none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403."""
        reason = self._refusal(Headers(scope=scope))
        if reason:
            raise HTTPException(403, f"{reason} Ask from this machine, at localhost or 127.0.0.1.")
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        client = headers.get(CLIENT_HEADER)
        if client is not None and not is_loopback(client):
            return f"This is shown to its own machine only, and {client} is another."
        forwarded = next((name for name in FORWARDED_HEADERS if name in headers), None)
        if forwarded:
            return (
                f"This is shown to its own machine only, not through a proxy (there is a header {forwarded})."
            )
        host = _without_port(headers.get("host", ""))
        if not is_loopback(host):
            return f"This is shown to its own machine only, and {host or 'no host'!r} is not its name."
        return None


def _without_port(host: str) -> str:
    """Return ``::1`` of ``[::1]:8090``."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
